"""A client that trusts its host with results only gets what hosts usually send."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster import DeserializationError, define_common
from easycluster_protocol.errors import UntrustedResult
from helpers.servers import Server
from helpers.waiting import wait_until

THREADED_TOO = True
TLS_TOO = True

DEFINITIONS = """
import array, collections, dataclasses, datetime, decimal, enum, fractions, ipaddress, os, pathlib, subprocess
import sys, time, types, uuid
class Color(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Point:
    x: int
    y: object = None
class Slotted:
    __slots__ = ('a', '__weakref__')
class Problem(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code
Row = collections.namedtuple('Row', 'a b')
class Thing(ServerObject):
    def double(self, value):
        return 2 * value
class Attack:
    def __reduce__(self):
        return os.system, ('true',)
def make(text):
    return eval(text)
def fail(text):
    raise eval(text)
def count(end):
    yield from range(end)
"""


@pytest.fixture
def host(transport: Any) -> Iterator[Any]:
    """A client that trusts its host with results only."""
    define_common(DEFINITIONS)
    with transport.connect(trust="results") as client:
        yield client


VALUES = """
5 ; -2.5 ; 2 ** 5000 ; 1j ; 'text' ; b'bytes' ; bytearray(b'x' * 9) ; [1, None, True, ...] ; {'a': [{2}, frozenset([3])]}
int ; type(None) ; range(5) ; slice(1, 2) ; array.array('d', [1.5]) ; types.SimpleNamespace(a=1)
datetime.date(2026, 11, 28) ; datetime.datetime(2026, 11, 28, 1, 2, 3, 4, datetime.timezone.utc) ; datetime.time(1, 2)
datetime.timedelta(3, 4) ; datetime.timezone(datetime.timedelta(hours=2), 'name')
decimal.Decimal('1.50') ; fractions.Fraction(1, 3) ; uuid.UUID(int=7) ; pathlib.PurePosixPath('/a/b')
collections.deque([1, 2], 3) ; collections.defaultdict(list, {1: [2]}) ; collections.OrderedDict(a=1)
collections.Counter('aab') ; ipaddress.ip_address('1.2.3.4') ; ipaddress.ip_network('1.2.3.0/24')
[(i, (i, str(i))) for i in range(100)] ; Point(1, Point(2)) ; Row(1, (2, 3)) ; Color.RED
""".replace("\n", ";").split(";")


def test_values(host: Any) -> None:
    """Plain values, and objects of classes of the definitions, arrive as always."""
    for text in filter(str.strip, VALUES):
        value = host.make(text.strip())

        expected = eval(text.strip(), vars(easycluster.remote_code))
        assert value == expected
        assert type(value) is type(expected)
        assert repr(value) == repr(expected)


ARRAYS = {
    "numbers": np.arange(5),
    "large": np.arange(100_000.0),
    "columns": np.arange(6).reshape(2, 3)[:, 1],
    "Fortran": np.asfortranarray([[1, 2], [3, 4]]),
    "empty": np.zeros((0, 3)),
    "no dimensions": np.array(5),
    "other byte order": np.zeros(2, ">i4"),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "dates": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "many dates": np.arange("2020-01", "2021-01", dtype="M8[m]"),
    "fields": np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]),
    "fields with objects": np.array([(1, None), (2, "x")], [("a", "i4"), ("b", "O")]),
    "objects": np.array([1, None, "x", [2]], object),
    "arrays": np.array([np.zeros(2), np.ones(3)], object),
    "scalar": np.float64(2),
    "date": np.datetime64("2020-01-01"),
    "truth": np.bool_(True),
    "type": np.dtype([("a", "f4"), ("b", "O")]),
}


def test_arrays(host: Any) -> None:
    """Arrays of NumPy arrive as always, in whatever way they are pickled."""
    for array in ARRAYS.values():
        value = host.make(f"__import__('pickle').loads({pickle.dumps(array, 5)!r})")

        assert repr(value) == repr(array)
        assert type(value) is type(array)


def test_proxies(host: Any) -> None:
    """Proxies, generators, files, modules and their methods arrive as always."""
    thing = host.make("Thing()")

    assert thing.double(4) == 8
    assert list(host.count(5)) == [0, 1, 2, 3, 4]
    assert list(easycluster.options(host.count(100), prefetch=10)) == list(range(100))
    assert host.make("[Thing().double]")[0](5) == 10
    with host.open("/dev/null") as file:
        assert file.read() == ""


@pytest.mark.parametrize("text", ["ValueError('a', 5)", "OSError(2, 'text', 'file')", "Problem('a', 5)"])
def test_exceptions(host: Any, text: str) -> None:
    """Exceptions of built-in classes and of definitions arrive as always."""
    expected = eval(text, vars(easycluster.remote_code))

    with pytest.raises(type(expected)) as caught:
        host.call("fail", text, origexc="quiet")

    assert type(caught.value) is type(expected)
    assert caught.value.args == expected.args
    assert {**vars(caught.value), **vars(expected)} == vars(caught.value)
    assert "in fail" in str(caught.value.__cause__)


def test_other_exceptions(host: Any) -> None:
    """An exception of another class arrives as a stand-in, which says why."""
    with pytest.raises(easycluster.UnknownRemoteError, match="non-zero exit status 3") as caught:
        host.call("fail", "subprocess.CalledProcessError(3, 'command')", origexc="quiet")

    assert type(caught.value).__name__ == "CalledProcessError"
    assert "trust=results" in str(caught.value.reason)


@pytest.mark.parametrize("text", ["Attack()", "os.system", "[lambda: 1]", "time.sleep"])
def test_code(host: Any, text: str) -> None:
    """Code is refused; the next call works, and the value is still there for the host."""
    with pytest.raises(UntrustedResult, match="the result of make on ") as caught:
        host.make(text)

    assert isinstance(caught.value, (DeserializationError, pickle.UnpicklingError))
    assert "trust=results" in str(caught.value)
    assert host.make("5") == 5


def test_trusted_classes(host: Any) -> None:
    """A class that the script names may come, by itself."""
    text = "subprocess.CompletedProcess(['a'], 3)"
    with pytest.raises(
        UntrustedResult, match=r"names subprocess\.CompletedProcess, .*easycluster\.trust\(client, "
    ):
        host.make(text)

    easycluster.trust(host, subprocess.CompletedProcess, np.matrix)

    assert host.make(text).returncode == 3
    assert type(host.make("__import__('numpy').matrix([[1, 2]])")) is np.matrix
    with pytest.raises(UntrustedResult, match="functools"):
        host.make("__import__('functools').partial(int)")


def test_reconnecting(tcp_server: Server, key: bytes) -> None:
    """What a host is trusted with stays when the client connects again."""
    spec = f"127.0.0.1:{tcp_server.port}:key={key.hex()}:trust=results"
    with easycluster.Client.from_spec(spec, warn=False) as client:
        easycluster.trust(client, subprocess.CompletedProcess)
        client.reconnect()
        host: Any = client

        assert host.subprocess.run(["true"]).returncode == 0
        with pytest.raises(UntrustedResult):
            host.functools.partial(print)


def test_other_ways_to_wait(host: Any) -> None:
    """Responses, completion functions and several hosts at once refuse code as well."""
    response = host.make("Attack()", nonblocking=True)
    with pytest.raises(UntrustedResult):
        response.result()
    assert isinstance(host.make("Attack()", nonblocking=True).exception(), UntrustedResult)
    with pytest.raises(UntrustedResult):
        easycluster.call_multi([host], "make", "Attack()")
    told: list[Any] = []
    response = host.make("Attack()", nonblocking=True, onerror=told.append, oncomplete=told.append)
    with pytest.raises(UntrustedResult):
        response.wait()
    wait_until(lambda: told)
    assert [type(each.orig) for each in told] == [UntrustedResult]
