"""Functions by value: what exists only in the master is called, and sent along, on any server."""

from __future__ import annotations

import enum
import functools
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster import call_multi, define_common
from easycluster_client._session.session import ClientSession
from easycluster_protocol.errors import DeserializationError, SerializationError
from helpers.pythons import every_python, find_pythons
from helpers.sshd import Sshd

UPGRADED_TOO = True

Connect = Callable[..., Any]

#: Imports what the host has, and says which that is.
WHERE = "__import__('cloudpickle').__file__"


def supplied(client: Any) -> set[str]:
    """The packages that were sent to a client's server."""
    found: set[str] = client._easycluster_calls.session.sent_packages
    return found


def test_functions_of_every_kind(client: Any) -> None:
    """Lambdas, closures, nested and recursive functions, defaults and keywords work as at home."""
    factor, offsets = 3, [1]

    def closure(value: int) -> int:
        return factor * value + offsets[0]

    def nested(value: int) -> int:
        def inner(value: int) -> int:
            return closure(value) + 1

        return inner(value)

    def recursive(value: int) -> int:
        return value * recursive(value - 1) if value else 1

    def keywords(a: int, b: int = 2, *rest: int, c: int, d: int = 4, **more: int) -> Any:
        return a, b, rest, c, d, more

    assert client.call(lambda x, y=5: x + y, 3) == 8
    assert client.call(closure, 2) == 7
    assert client.call(nested, 2) == 8
    assert client.call(recursive, 10) == 3628800
    assert client.call(keywords, 1, c=3) == (1, 2, (), 3, 4, {})
    assert client.call(keywords, 1, 5, 6, c=3, d=7, e=8) == (1, 5, (6,), 3, 7, {"e": 8})
    assert list(client.call(lambda: {"n": sum(x for x in range(5))}).items()) == [("n", 10)]


def test_functions_among_the_arguments(client: Any) -> None:
    """They go by value wherever they stand: as arguments, in containers, in partial objects."""
    define_common("def apply(f, *args, **kwargs):\n    return f(*args, **kwargs)\n")
    client.update_definitions()
    factor = 7

    assert client.apply(lambda x: x * factor, 6) == 42
    assert client.apply(lambda table, key: table[key][0](2), {"a": [lambda x: x * factor]}, key="a") == 14
    assert client.call(functools.partial(lambda x, y: (x, y), 1), 2) == (1, 2)
    assert client.call(sorted, [3, -4, 1], key=lambda value: -value) == [3, 1, -4]
    client._easycluster_calls.operation("set_value", ("triple", lambda x: 3 * x))
    assert client.triple(5) == 15


def test_functions_as_results(client: Any) -> None:
    """What a function by value makes comes back: functions, classes of it, and their instances."""

    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

        def double(self) -> int:
            return 2 * self.x

    class Colour(enum.Enum):
        RED = 1

    add = client.call(lambda x: lambda y: x + y, 3)
    assert add(4) == 7
    point = client.call(lambda: Point(4))
    assert (type(point), point.double()) == (Point, 8)
    assert client.call(lambda value: value, Colour.RED) is Colour.RED
    assert client.call(lambda: Point) is Point


def test_definitions_as_functions(client: Any) -> None:
    """A function of the definitions goes by name, and a lambda may use it."""
    define_common("def seven():\n    return 7\n")
    client.update_definitions()
    seven = sys.modules["easycluster.remote_code"].seven

    assert client.call(seven) == 7
    assert supplied(client) == set()
    assert client.call(lambda: seven() + 1) == 8


def test_what_has_a_name_goes_by_name(client: Any) -> None:
    """Functions that can be imported, and texts that look like functions, do not cause cloudpickle to be sent."""
    assert client.call(len, [1, 2]) == 2
    assert client.call("str.upper", "__main__") == "__MAIN__"
    assert client.call(functools.reduce, max, [1, 3, 2]) == 3
    assert client.call(dict, a="__main__", b=len) == {"a": "__main__", "b": len}
    with pytest.raises(TypeError, match="must be a function or the name of one"):
        client.call(3)

    assert supplied(client) == set()


def test_options(client: Any, connect: Connect) -> None:
    """The five keywords work for functions by value, and several clients are called at once."""

    def thread() -> int:
        return threading.get_ident()

    main = client.call(thread)
    results: list[Any] = []
    client.call(lambda x: x + 1, 3, nonblocking=True, oncomplete=results.append).wait()
    assert results == [4]
    assert client.call(thread, threadid=5) != main
    assert client.call(thread, threadid=easycluster.SINGLE) != main
    assert client.call(thread) == main
    responses = [client.call(lambda x: x * x, each, nonblocking=True) for each in range(20)]
    assert [response.wait() for response in responses] == [each * each for each in range(20)]

    assert call_multi([client, connect()], lambda x, y: x * y, 6, y=7) == [42, 42]


def test_exceptions(client: Any) -> None:
    """An exception of a class of the master's is caught as that class, and the traceback shows the function."""

    class Wrong(Exception):
        def __init__(self, text: str, code: int) -> None:
            super().__init__(text)
            self.code = code

    def fail(code: int) -> None:
        raise Wrong("on purpose", code)  # a line to be seen

    with pytest.raises(Wrong, match="on purpose") as caught:
        client.call(fail, 9, origexc="quiet")

    assert caught.value.code == 9
    trace = str(caught.value.__cause__)
    assert "    raise Wrong(" in trace
    assert "in fail\n" in trace
    assert "easycluster" not in trace.partition("Traceback")[2].replace(__file__, "")


def test_large_arguments(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of large arrays stays beside the pickle, arrives writable, and later changes do not reach it."""
    array = np.arange(1 << 17)
    sent: list[int] = []
    request = ClientSession.request

    def spy(self: Any, response: Any, kind: int, body: Any, buffers: Any, thread: int) -> None:
        sent.append(len(buffers))
        assert len(body) < 1 << 16
        request(self, response, kind, body, buffers, thread)

    monkeypatch.setattr(ClientSession, "request", spy)
    response = client.call(lambda held, given: (held[:3], given.sum()), array, array.copy(), nonblocking=True)
    total = array.sum()
    array[:] = 0
    first, found = response.wait()

    assert (list(first), found) == ([0, 1, 2], total)
    assert sent == [2]
    back = client.call(lambda: np.ones(1 << 17))
    back += 1
    assert back.sum() == 2 << 17
    assert client.call(lambda: array.sum() + 1) == 1


def test_threads_at_once_as_the_first(client: Any) -> None:
    """Several threads may make the first call by value at once; each finds what it needs."""
    start = threading.Barrier(6)
    found: list[Any] = []

    def call(number: int) -> None:
        start.wait()
        try:
            thread = number if number % 2 else 0
            found.append(client.call(lambda: (number, lambda: number)[0], threadid=thread))
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == list(range(6))


def test_what_cannot_be_sent(client: Any) -> None:
    """A lock in a closure costs its call, with an error that says which argument it was, and nothing else."""
    lock = threading.Lock()

    def locked() -> Any:
        return lock

    with pytest.raises(
        SerializationError, match=r"argument 2 of len \(type function\) cannot be sent: TypeError"
    ):
        client.call("len", 1, locked)
    with pytest.raises(SerializationError, match=r"the function .*locked itself .* cannot be sent"):
        client.call(locked)
    with pytest.raises(SerializationError, match=r"the result of .*<lambda> cannot be sent"):
        client.call(lambda: __import__("threading").Lock(), origexc="quiet")
    with pytest.raises(DeserializationError, match="argument 1 of len"):
        client.call("len", NeverThere(), origexc="quiet")

    assert client.call(lambda: 5) == 5


class NeverThere:
    """Cannot be rebuilt."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_where_cloudpickle_comes_from(client: Any) -> None:
    """The server imports what it was sent, from memory, whatever it has installed."""
    assert client.call(lambda: 1) == 1

    assert supplied(client) == {"cloudpickle"}
    file = client.eval("__import__('sys').modules['cloudpickle.cloudpickle'].__file__")
    # Over ssh by the importer that brought all of our code.
    assert re.fullmatch(r"easycluster-(supplied|bundle)/cloudpickle/cloudpickle\.py", file)


def test_another_cloudpickle(client: Any) -> None:
    """A host that has imported a cloudpickle of its own goes on with that."""
    own = client.eval(WHERE)
    assert not own.startswith("easycluster-")

    assert client.call(lambda x: [x, lambda: x], 3)[1]() == 3
    assert client.eval(WHERE) == own


def test_after_reconnecting(client: Any) -> None:
    """A new connection gets again what it needs; a local server has none."""
    assert client.call(lambda: 1) == 1
    if client.remote_host is None:
        with pytest.raises(ValueError, match="was connected to a host"):
            client.reconnect()
        return
    client.reconnect()

    assert supplied(client) == set()
    assert client.call(lambda: 2) == 2


@pytest.mark.needs_sshd
@every_python()
def test_other_pythons(sshd: Sshd, version: str) -> None:
    """Under another minor version it is one clear error, which names both, and the connection goes on."""
    define_common("def shared(x):\n    return x + 1\n")
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"

    class Wrong(Exception):
        pass

    with easycluster.Client(
        host="h", ssh=True, rpython=find_pythons()[version], extra_args=sshd.options
    ) as client:
        if version == own:
            assert client.call(lambda: 5) == 5
            return
        with pytest.raises(SerializationError) as caught:
            client.call(lambda: 5)
        text = str(caught.value)
        assert f"cpython {version}." in text
        assert f"cpython {own}." in text
        assert "define_common()" in text
        with pytest.raises(SerializationError, match="define_common"):
            client.call("len", [lambda: 5])
        assert supplied(client) == set()
        assert client.shared(4) == 5
        # A class without code is no matter of versions, where cloudpickle can run.
        if version in {"3.6", "3.7"}:
            with pytest.raises(SerializationError, match="define_common"):
                client.call("repr", Wrong("text"))
        else:
            assert client.call("repr", Wrong("text")) == "Wrong('text')"
            # From here on that Python could send code by value.
            with pytest.raises(DeserializationError, match="compiled cannot run on"):
                client.eval("lambda: 5")
