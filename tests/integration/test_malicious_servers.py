"""A host that is trusted with its results only can spoil its own calls, and nothing else."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

import easycluster
from easycluster import (
    Client,
    ConnectionLost,
    DeserializationError,
    EasyClusterError,
    RemoteProxy,
)
from easycluster.server import spawn_local
from easycluster_protocol._wire import frames, messages as m
from easycluster_protocol._wire.messages import Message
from helpers.malicious import (
    Answer,
    MaliciousServer,
    Raw,
    built,
    called,
    connect_guarded as connect,
    failure,
    link_of,
    name,
    pickled,
    put,
    result,
)
from helpers.peak_memory import peak, reset_peak

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read in /proc"),
    pytest.mark.usefixtures("no_definitions"),
]

MIB = 1 << 20

#: Memory that any attack here may cost for a moment.
ALLOWED = 64 * MIB

PROXIES = "easycluster_protocol._objects.proxies"
VALUES = "easycluster_protocol._values."


@pytest.fixture(scope="module")
def honest() -> Iterator[Client]:
    """A client of another host."""
    with spawn_local() as client:
        yield client


def attack(answer: Answer, honest: Any, *, compress: bool = False) -> EasyClusterError:
    """Call a function of a server that answers so; return the error of the call. The connection lives on, and another
    host serves."""
    with MaliciousServer(answer, compress) as server, connect(server) as client:
        host: Any = client
        before = reset_peak()
        with pytest.raises(EasyClusterError) as caught:
            host.attack()
        assert peak() - before < ALLOWED
        assert not isinstance(caught.value, ConnectionLost)
        assert str(caught.value).replace("\n", "").isprintable()
        assert host.fine() == "fine"
        assert honest.eval("1 + 1") == 2
        return caught.value


def nested(make: Any, depth: int) -> Raw:
    """Return a value in which one is in the other."""
    before, after = make.split(b"VALUE")
    return Raw(before * depth + b"N" + after * depth)


REFUSED = {
    "function": called(name("helpers.malicious", "put"), 1),
    "system": called(name("posix", "system"), "true"),
    "eval": called(name("builtins", "eval"), "1"),
    "dotted": called(name("builtins", "object.__subclasses__")),
    "dotted twice": name("builtins", "object.__class__.__base__"),
    "getattr": called(name("builtins", "getattr"), "text", "upper"),
    "getattr of a class": called(name("builtins", "getattr"), name("datetime", "datetime"), "now"),
    "import": called(name("builtins", "__import__"), "antigravity"),
    "partial": called(name("functools", "partial"), name("builtins", "int")),
    "main": name("__main__", "anything"),
    "facade": called(name("easycluster.server", "stop_server")),
    "definitions": called(name("easycluster.remote_code", "easycluster.server.stop_server")),
    "by value": called(name("cloudpickle.cloudpickle", "_make_empty_cell")),
    "our by value": called(name(VALUES + "by_value", "make_code"), "", "", 1, ()),
    "late": called(name(VALUES + "late_results", "LateResult"), 7),
    "exit": called(name("builtins", "SystemExit"), 1),
    "matrix": called(name("numpy._core.multiarray", "fromfile"), "/etc/passwd"),
    "tensor": called(name(VALUES + "libraries", "make_tensor"), b"", "uint8", (), False),
    "class without constructor": Raw(name("subprocess", "Popen") + b")\x81"),
    "constructor of a text": called(name("builtins", "str"), b"a", "utf-8"),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_names(value: Raw, honest: Client) -> None:
    """Code is refused by an error that names it, the host, and the way to allow a class."""
    error = attack(result(pickled([value])), honest)

    assert isinstance(error, DeserializationError)
    assert "attack on 127.0.0.1:" in str(error)


ARRAY = called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")
OBJECTS = built(called(name("numpy", "dtype"), "O8", False, True), (3, "|", None, None, None, -1, -1, 63))
NUMBERS = built(called(name("numpy", "dtype"), "f8", False, True), (3, "<", None, None, None, -1, -1, 0))
BYTES = called(name("numpy", "dtype"), "V1", False, True)

MALFORMED = {
    "empty": b"",
    "cut short": b"\x80\x04X\xff\xff\xff\xff",
    "announced bytes": b"\x80\x04\x8e" + (1 << 34).to_bytes(8, "little") + b".",
    "announced array of bytes": b"\x80\x05\x96" + (1 << 34).to_bytes(8, "little") + b".",
    "announced frame": b"\x80\x04\x95" + (1 << 34).to_bytes(8, "little") + b"N.",
    "far memo": b"\x80\x04Nr\xff\xff\xff\x3f.",
    "far memo as text": b"\x80\x04Np1073741823\n.",
    "long integer as text": b"\x80\x04L" + b"9" * 100_000 + b"L\n.",
    "extension": b"\x80\x04\x82\x01.",
    "old name": b"\x80\x04cposix\nsystem\n.",
    "old instance": b"\x80\x04(iposix\nsystem\n.",
    "old object": b"\x80\x04(o.",
    "persistent text": b"\x80\x04Pname\n.",
    "copy": b"\x80\x04]2a.",
    "number of bytes": pickled(called(name("builtins", "bytearray"), 10**12)),
    "deep tuple as a key": b"\x80\x04}" + b"N" + b"\x85" * 500_000 + b"Ns.",
    "deep tuple in a set": b"\x80\x04\x8f(N" + b"\x85" * 500_000 + b"\x90.",
    "tuple that is everywhere": b"\x80\x04}N\x85\x94"
    + b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(60))
    + b"Ns.",
    "deep deque": pickled(nested(name("collections", "deque") + b")RVALUEa", 20_000)),
    "deep defaultdict": pickled(nested(name("collections", "defaultdict") + b")RNVALUEs", 20_000)),
    "slice": pickled(called(name("builtins", "slice"), called(name("builtins", "slice"), 1, 2), 1)),
    "range": pickled(called(name("builtins", "range"), "9")),
    "state of a class": pickled(built(name("datetime", "datetime"), (None, {"now": 1}))),
    "state of a function": pickled(built(name(PROXIES, "find_proxy"), (None, {"__defaults__": ()}))),
    "state of a number": pickled(built(put(5), {"x": 1})),
    "items of a class": pickled(Raw(name("builtins", "dict") + put("a") + put("b") + b"s")),
    "items of a tuple": pickled(Raw(put(()) + put("a") + b"a")),
    "call of a number": pickled(Raw(put(5) + b")R")),
    "arguments that are no tuple": pickled(Raw(name("builtins", "complex") + b"]R")),
    "day 255": pickled(called(name("datetime", "date"), b"\x07\xea\x01\xff")),
    "year 0": pickled(called(name("datetime", "date"), b"\0\0\x01\x01")),
    "minute 255": pickled(called(name("datetime", "datetime"), b"\x07\xea\x01\x01\1\xff\1\0\0\0")),
    "zone": pickled(called(name("builtins", "getattr"), name("zoneinfo", "ZoneInfo"), "from_file")),
    "zone outside": pickled(
        called(
            called(name("builtins", "getattr"), name("zoneinfo", "ZoneInfo"), "_unpickle"), "../passwd", True
        )
    ),
    "fraction": pickled(called(name("fractions", "Fraction"), "1e1000000000")),
    "UUID": pickled(built(name("uuid", "UUID") + b")\x81", {"int": "x"})),
    "shape without bytes": pickled(built(ARRAY, (1, (1 << 33,), NUMBERS, False, b"1"))),
    "shape without objects": pickled(built(ARRAY, (1, (1 << 33,), OBJECTS, False, []))),
    "bytes as objects": pickled(built(ARRAY, (1, (1,), OBJECTS, False, b"12345678"))),
    "two states": pickled(
        built(built(ARRAY, (1, (0,), NUMBERS, False, b"")), (1, (0,), NUMBERS, False, b""))
    ),
    "deep arrays": pickled(nested(ARRAY + b"(K\x01" + put((1,)) + OBJECTS + b"\x89](VALUEetb", 20_000)),
    "buffer of objects": pickled(
        called(name("numpy.core.numeric", "_frombuffer"), b"12345678", OBJECTS, (1,), "C")
    ),
    "scalar of objects": pickled(called(name("numpy.core.multiarray", "scalar"), OBJECTS, b"12345678")),
    "short scalar": pickled(called(name("numpy.core.multiarray", "scalar"), NUMBERS, b"1")),
    "field outside": pickled(built(BYTES, (3, "|", None, ("a",), {"a": (NUMBERS, 10**9)}, 8, 1, 16))),
    "type of a text": pickled(called(name("numpy", "dtype"), "f8,(1000000000,)f8", False, True)),
    "array of another class": pickled(
        called(name("numpy.core.multiarray", "_reconstruct"), name("builtins", "bytes"), (0,), b"b")
    ),
    "method of a text": pickled(
        called(name("easycluster_protocol._objects.proxy_methods", "find_method"), "a", "b")
    ),
    "object that was not named": pickled(called(name(PROXIES, "find_proxy"), 1, ((), (), (), True))),
    "attribute of an exception": pickled(
        called(name(VALUES + "exceptions", "rebuild"), name("builtins", "ValueError"), (), {"__class__": 1})
    ),
    "method of an exception": pickled(
        called(
            name(VALUES + "exceptions", "rebuild"), name("builtins", "ValueError"), (), {"with_traceback": 1}
        )
    ),
    "position in a text": pickled(
        called(name("builtins", "UnicodeDecodeError"), "utf-8", b"", -5, -4, "reason")
    ),
    "many arguments of an exception": pickled(
        called(name("builtins", "ValueError"), Raw(b"](" + b"N" * 20_000 + b"e"))
    ),
    "names that are no text": b"\x80\x04K\x01K\x02\x93.",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_pickles(body: bytes, honest: Client) -> None:
    """A pickle that no pickler writes is an error of its call, and costs no memory that was not sent."""
    assert isinstance(attack(result(body), honest), DeserializationError)


DESCRIPTIONS = {
    "dunder": (("__class__",), (), (), True),
    "reduce": (("__reduce_ex__",), (), (), True),
    "ours": (("_easycluster_state",), (), (), True),
    "public": (("raw_call_method",), (), (), True),
    "control characters": (("a\x1b[31m",), (), (), True),
    "no identifier": (("no name",), (), (), True),
    "no text": ((b"name",), (), (), True),
    "very long": (("a" * 100_000,), (), (), True),
    "very many": (tuple(f"a{n}" for n in range(50_000)), (), (), True),
    "class": name("builtins", "dict"),
    "number": 77,
    "nothing": (),
    "escapes in the class": (tuple(f"{'a' * 90}{n}" for n in range(9)), (), (), True, (), (), "a\x1b[31m"),
}


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_proxies(description: Any, honest: Client) -> None:
    """A proxy with an odd description is an error of its call; the classes of proxies are as before."""
    before = dict(vars(RemoteProxy))

    attack(result(pickled(called(name(PROXIES, "find_proxy"), 1, description)), 1), honest)

    assert dict(vars(RemoteProxy)) == before


def test_descriptions_without_end(honest: Client) -> None:
    """All descriptions of one host together have a limit."""
    counted = iter(range(1 << 30))

    def answer(server: MaliciousServer, call: Message) -> None:
        names = tuple(f"a{next(counted)}" for _ in range(4000))
        body = pickled(called(name(PROXIES, "find_proxy"), 1 + next(counted), (names, (), (), True)))
        result(body, 1)(server, call)

    with MaliciousServer(answer) as server, connect(server) as client:
        host: Any = client
        with pytest.raises(DeserializationError, match="too many"):
            for _ in range(30):
                host.attack()
        assert host.fine() == "fine"


CHAINS = {
    "no list": 5,
    "nothing": [],
    "no dictionaries": [1],
    "no text": [{"pickled": None}],
    "numbers as text": [link_of(text=[1, 2])],
    "bases": [link_of(bases=5)],
    "type": [link_of(type=b"x")],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_descriptions_of_exceptions(chain: Any, honest: Client) -> None:
    """An exception that is not described as servers do is an error of its call."""
    attack(failure(chain), honest)


def raised(chain: Any) -> BaseException:
    """Return the exception that a call raises."""
    with MaliciousServer(failure(chain)) as server, connect(server) as client:
        host: Any = easycluster.options(client, origexc="quiet")
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- the tests look at it
            host.attack()
        assert host.fine() == "fine"
        return caught.value


def test_hostile_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What a terminal would obey is written visibly, in the text, the message and the names of an exception."""
    evil = "\x1b]0;title\x07\x1b[2J\u202e"
    link = link_of(type="E" + evil, message=evil, reason=evil, text=[evil + "\n"], attributes={"a": evil})
    with MaliciousServer(failure([link])) as server, connect(server) as client:
        host: Any = client
        with pytest.raises(ValueError, match=r"\\x1b") as caught:
            host.attack()

    error: Any = caught.value
    shown = f"{error}{error.__cause__}{type(error).__name__}{error.reason}{error.a}{capsys.readouterr().err}"
    assert "\\u202e" in shown
    assert shown.replace("\n", "").isprintable()


def test_hostile_attributes() -> None:
    """Attributes do not take the place of what Python or this library calls."""
    names = ("with_traceback", "__class__", "__dict__", "__traceback__", "args", "add_note", "x y", "fine")
    error: Any = raised([link_of(attributes=dict.fromkeys(names, "evil"))])

    assert isinstance(error, ValueError)
    assert vars(error)["fine"] == "evil"
    assert callable(error.with_traceback)


@pytest.mark.parametrize("cls", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_exceptions_that_end_programs(cls: str) -> None:
    """An exception that would end the master is raised as one that does not."""
    link = link_of(type=cls, bases=[cls, "BaseException"], pickled=pickled(called(name("builtins", cls))))

    error = raised([link])

    assert isinstance(error, EasyClusterError)
    assert type(error).__name__ == cls


def test_pickles_of_exceptions() -> None:
    """An exception whose pickle runs code arrives as its text."""
    error: Any = raised([link_of(pickled=pickled(REFUSED["system"]))])

    assert isinstance(error, ValueError)
    assert "posix.system" in vars(error)["reason"]


def test_long_chains() -> None:
    """Of a long chain of causes the beginning arrives."""
    error: BaseException | None = raised([link_of(relation="cause") for _ in range(100_000)])

    count = 0
    while error is not None:
        error, count = error.__cause__, count + 1
    assert count < 100


def test_exceptions_in_exceptions() -> None:
    """Exceptions that are deep in each other arrive as text from some depth on."""
    link = link_of()
    for _ in range(200):
        inner = called(name(VALUES + "failures", "rebuild_link"), link)
        link = link_of(pickled=pickled(called(name("builtins", "ValueError"), inner)))

    assert isinstance(raised([link]), ValueError)


def send_to_nobody(server: MaliciousServer, call: Message) -> None:
    """Answer calls that were never made, and this one three times."""
    for number in range(1, 20_000):
        server.send(Message(m.RESULT, call.request + number, b"", references=[number]))
    for text in ("first", "second", "third"):
        result(pickled(text))(server, call)


def send_references(server: MaliciousServer, call: Message) -> None:
    """Name objects without end, for this call and for others."""
    for number in range(100):
        for request in (call.request, call.request + 1):
            ids = range(1 + number * 30_000, 1 + (number + 1) * 30_000)
            server.send(Message(m.REFERENCES, request, references=ids))
    result(pickled("first"))(server, call)


@pytest.mark.parametrize("answer", [send_to_nobody, send_references])
def test_answers_to_nobody(answer: Answer, honest: Client) -> None:
    """Answers to calls that were never made are dropped; the first answer to a call counts; names of objects take no
    more memory than they were sent in, some time for one answer."""
    before = reset_peak()
    with MaliciousServer(answer) as server, connect(server) as client:
        host: Any = client
        assert host.attack() == "first"
        assert host.fine() == "fine"
    assert peak() - before < 6 * 24 * MIB
    assert honest.eval("1 + 1") == 2


def send_request(server: MaliciousServer, call: Message) -> None:
    """Call the master."""
    server.socket.sendall(
        server.link.sender.send_all(server.link.sender.plan_frames(Message(m.CALL, 1, b"")))
    )


def test_broken_rules(honest: Client) -> None:
    """A server that breaks the rules loses its connection, and other hosts serve."""
    lose_connection(send_request, honest)


def lose_connection(answer: Answer, honest: Client, *, compress: bool = False) -> None:
    """Make a call whose answer ends the connection."""
    before = reset_peak()
    with MaliciousServer(answer, compress) as server, connect(server) as client:
        host: Any = client
        with pytest.raises(ConnectionLost):
            host.attack()
    assert peak() - before < ALLOWED
    assert honest.eval("1 + 1") == 2


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """256 KiB that inflate to 256 MiB."""
    engine = zlib.compressobj(9)
    return b"".join([*(engine.compress(bytes(MIB)) for _ in range(256)), engine.flush()])


def test_bombs(bomb: bytes, honest: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that inflates to more than a frame may hold ends the connection, and costs no memory."""
    monkeypatch.setattr(zlib, "compress", lambda *_: bomb)

    def send_bomb(server: MaliciousServer, call: Message) -> None:
        server.socket.sendall(server.link.sender.send_all([[(frames.MESSAGES, 0, bytes(2 * len(bomb)))]]))

    lose_connection(send_bomb, honest, compress=True)
