"""NumPy arrays and other large buffers: they travel beside the pickle, and arrive as one's own."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from easycluster import define_common
from helpers.waiting import wait_until

UPGRADED_TOO = True
TLS_TOO = True

DEFINITIONS = """
import os
import numpy as np

def echo(value):
    return value

def increment(array):
    array += 1
    return array

def flags(array):
    return (array.flags.writeable, array.flags.c_contiguous, array.flags.f_contiguous)

def checksum(array):
    return int(array.sum(dtype='int64'))

def wait_for(path):
    import time
    while not os.path.exists(path):
        time.sleep(0.001)

kept = None

def keep(count):
    global kept
    kept = np.ones(count, 'uint8')

def get_kept():
    return kept

def spoil_kept(value):
    kept[:] = value
"""

RECORD = np.dtype([("name", "U8"), ("place", "<f8", (3,)), ("flag", "?")])

ARRAYS = {
    "C order": np.arange(10_000.0).reshape(100, 100),
    "Fortran order": np.asfortranarray(np.arange(10_000.0).reshape(100, 100)),
    "three dimensions": np.arange(24_000).reshape(20, 30, 40),
    "structured": np.array([("a", (1, 2, 3), True)] * 2000, RECORD),
    "big-endian": np.arange(10_000, dtype=">i8"),
    "complex": np.arange(10_000) * 1j,
    "booleans": np.ones(100_000, bool),
}

IN_BAND = {
    "small": np.arange(10),
    "no element": np.empty((0, 5)),
    "no dimension": np.array(5.0),
    "objects": np.array([{"a": 1}, None, "text"], object),
    "every second": np.arange(20_000)[::2],
    "backwards": np.arange(20_000)[::-1],
    "dates": np.arange(10_000).astype("datetime64[s]"),
    "texts": np.array(["some", "text"] * 5000),
}

MIB = 1 << 20


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


class Spy:
    """Counts the buffers that calls of a client send beside the pickle."""

    def __init__(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = 0
        session = client._easycluster_calls.session
        request = session.request

        def counting(response: Any, kind: int, body: Any, buffers: Any, thread: int) -> None:
            self.sent += len(buffers)
            request(response, kind, body, buffers, thread)

        monkeypatch.setattr(session, "request", counting)


def received_buffers(response: Any) -> int:
    """The buffers that came beside the pickle of an answer that nobody has asked for yet."""

    def arrived() -> bool:
        return bool(response.have_response or (response.read_response(False) and response.have_response))

    wait_until(arrived)
    return len(response.call_answer.buffers)


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are the same in all that counts."""
    return bool(
        type(a) is type(b)
        and a.dtype == b.dtype
        and a.shape == b.shape
        and a.flags.c_contiguous == b.flags.c_contiguous
        and a.flags.f_contiguous == b.flags.f_contiguous
        and np.array_equal(a, b)
    )


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_out_of_band(client: Any, monkeypatch: pytest.MonkeyPatch, array: Any) -> None:
    """An array travels beside the pickle in both directions, and arrives the same and writable."""
    spy = Spy(client, monkeypatch)

    response = client.echo(array, nonblocking=True)

    assert spy.sent == 1
    assert received_buffers(response) == 1
    copy = response.wait()
    assert same(copy, array)
    assert copy.flags.writeable
    assert client.flags(array) == (True, array.flags.c_contiguous, array.flags.f_contiguous)


@pytest.mark.parametrize("array", IN_BAND.values(), ids=IN_BAND)
def test_in_band(client: Any, array: Any) -> None:
    """Arrays that are small or have no buffer of their own arrive the same and writable, too."""
    copy = client.echo(array)

    assert copy.dtype == array.dtype
    assert copy.shape == array.shape
    assert np.array_equal(copy, array)
    assert copy.flags.writeable


def test_writable(client: Any) -> None:
    """Both ends may change in place what they received; the other end does not notice."""
    array = np.arange(100_000)

    copy = client.increment(array)
    copy += 1

    assert np.array_equal(copy, np.arange(100_000) + 2)
    assert np.array_equal(array, np.arange(100_000))


def test_read_only(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only array stays read-only, and travels beside the pickle all the same."""
    array = np.arange(100_000)
    array.flags.writeable = False
    spy = Spy(client, monkeypatch)

    copy = client.echo(array)

    assert spy.sent == 1
    assert same(copy, array)
    assert not copy.flags.writeable


def test_many_in_one_call(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several arrays of one call arrive, each once, those that are the same as the same."""
    first, second = np.arange(10_000), np.arange(10_000.0)
    spy = Spy(client, monkeypatch)

    one, two, again = client.echo([first, second, first])

    assert spy.sent == 2
    assert same(one, first)
    assert same(two, second)
    assert again is one


def test_other_buffers(client: Any) -> None:
    """Large bytes and bytearrays arrive with their types."""
    for value in (b"x" * 100_000, bytearray(b"y" * 100_000), b"", bytearray()):
        copy = client.echo(value)
        assert copy == value
        assert type(copy) is type(value)


def test_compressed(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With compression arrays arrive the same and writable, whether they can be compressed or not."""
    define_common(DEFINITIONS)
    client = connect(enable_compression=True)
    noise = np.frombuffer(np.random.default_rng(1).bytes(3 * MIB), "uint8").copy()
    spy = Spy(client, monkeypatch)

    for array in (np.zeros(3 * MIB, "uint8"), noise, ARRAYS["Fortran order"]):
        copy = client.increment(array)
        assert np.array_equal(copy, array + 1)
        assert copy.flags.writeable
    assert spy.sent == 3


def test_64_mib(tcp_server: Any, key: bytes) -> None:
    """An array of 64 MiB passes a keyed connection there and back."""
    from easycluster import Client

    define_common(DEFINITIONS)
    array = np.arange(8 * MIB)
    with Client(key, "127.0.0.1", tcp_server.port) as client:
        copy = client.echo(array)

    assert same(copy, array)


@pytest.mark.parametrize("size", [40_000, MIB, 8 * MIB])
def test_changed_after_a_call(client: Any, size: int) -> None:
    """A caller who changes an array right after a nonblocking call does not change what was sent."""
    array = np.ones(size, "uint8")
    responses = []

    for round_ in range(3):
        responses.append(client.checksum(array, nonblocking=True))
        array[:] = round_ + 2

    assert [response.wait() for response in responses] == [size, size * 2, size * 3]


@pytest.mark.parametrize("size", [40_000, MIB, 8 * MIB])
def test_changed_while_the_server_is_busy(client: Any, tmp_path: Any, size: int) -> None:
    """The same holds while the server is still in an earlier call."""
    array = np.ones(size, "uint8")
    busy = client.wait_for(str(tmp_path / "go"), nonblocking=True)

    response = client.checksum(array, nonblocking=True)
    array[:] = 0
    assert not busy.have_response
    (tmp_path / "go").touch()

    assert response.wait() == size


@pytest.mark.parametrize("size", [40_000, MIB, 8 * MIB])
def test_changed_after_it_was_returned(client: Any, size: int) -> None:
    """A server that changes an array which it returned before does not change what was returned."""
    client.keep(size)
    responses = []

    for value in (2, 3, 4):
        responses.append(client.get_kept(nonblocking=True))
        client.spoil_kept(value, nonblocking=True)

    sums = [int(response.wait().sum(dtype="int64")) for response in responses]
    assert sums == [size, size * 2, size * 3]


def test_numpy_is_the_same_there(client: Any) -> None:
    """The server of these tests runs the same Python, so what is tested here is not its conversions."""
    assert client.eval("np.__version__") == np.__version__
    assert client.sys.version_info.major.value == sys.version_info.major
