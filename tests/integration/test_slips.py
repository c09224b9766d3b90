"""Slips that would do something else in silence: each is an error, or does the right thing, and says so."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import RemoteException, SerializationError, define_common, eval_multi, execblock_multi

MORE = """
import os

limit = 3

def process(number):
    return number, os.getpid()

def get_limit():
    return limit

def nap(seconds, timeout=0):
    return timeout

def change_limit():
    global limit
    limit = 9

def get_limit_soon():
    return get_limit(timeout=3)

class Meter(ServerObject):
    export_methods = 'read'
    zero = 0

    def read(self):
        return 5 + self.zero

    def calibrate(self):
        self.zero = 1

class ClosedMeter(Meter):
    export_attrs = ()
"""


def test_attribute_of_the_client(far: Any) -> None:
    """Assigning to a client where a definition is meant changes neither, and says what to write."""
    with pytest.raises(AttributeError, match=r"^limit is among the definitions: .* assign to \.limit\.value"):
        far.limit = 5
    far.rack = "left"

    assert (far.limit.value, far.rack) == (3, "left")
    far.limit.value = 5
    assert far.get_limit() == 5


def test_name_used_as_a_value(far: Any) -> None:
    """A name is not its value: using it as if it were says what to write, and that works."""
    for use in (bool, float, list, lambda name: name + 1, lambda name: 1 in name, lambda name: name[0]):
        with pytest.raises(TypeError, match=r"write host\.limit\.value to read it, or host\.limit\(\.\.\.\)"):
            use(far.limit)

    assert far.limit.value + 1 == 4
    assert bool(far)


def test_name_as_a_completion_function(far: Any, spawn: Any) -> None:
    """A function of another host may be a completion function, although its name has no truth."""
    other = spawn()
    response = far.get_limit(oncomplete=other.names.append)
    other.execblock("names = []")
    assert response.wait() == 3
    assert other.names.value == [3]


def test_code_that_is_no_text(far: Any) -> None:
    """A function where code is wanted is refused in this process, and `call` takes it."""
    function: Any = abs
    for use in (far.eval, far.execblock, define_common, lambda function: eval_multi([far], function)):
        with pytest.raises(TypeError, match=r"the text of .* host\.call\("):
            use(function)

    assert far.call(abs, -3) == 3
    with pytest.raises(TypeError, match=r"write host\.get_limit\(\.\.\.\) or call\('get_limit', \.\.\.\)"):
        far.call(far.get_limit)
    assert far.call("get_limit") == 3


#: Exceptions that `except Exception` does not catch, raised by remote code.
ENDS = {
    "SystemExit": "sys.exit(3)",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "import asyncio; raise asyncio.CancelledError",
}


@pytest.mark.parametrize("name", ENDS)
def test_exceptions_that_end_a_process(client: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A plain call and `wait` raise them as they are; as the outcome of a future they end nothing here."""
    code = f"import sys; {ENDS[name]}"
    for call in (client.execblock, lambda code: client.execblock(code, nonblocking=True).wait()):
        with pytest.raises(BaseException) as plain:  # noqa: PT011 -- the class is looked at
            call(code)
        assert type(plain.value).__name__ == name
    capsys.readouterr()

    response = client.execblock(code, nonblocking=True)
    with pytest.raises(RemoteException) as raised:
        response.result()
    with pytest.raises(RemoteException) as gathered:
        execblock_multi([client], code)
    errors: list[Any] = [raised.value, response.exception(), gathered.value]

    assert [type(error.orig).__name__ for error in errors] == [name] * 3
    assert all(name in error.text[-1] for error in errors)
    assert raised.value.__cause__ is None  # the text of the error is its own
    assert capsys.readouterr().err.count("Traceback") == 2  # each is reported once
    assert client.eval("1 + 1") == 2


@pytest.mark.parametrize("name", ENDS)
def test_exceptions_that_end_a_process_in_asyncio(client: Any, name: str) -> None:
    """An awaited call that ends so raises an error that the task can catch, and the loop goes on."""

    async def main() -> str:
        code = f"import sys; {ENDS[name]}"
        options = {"nonblocking": True, "origexc": "quiet"}
        with pytest.raises(RemoteException) as raised:
            await client.execblock(code, **options)
        first: Any
        second: Any
        first, second = await asyncio.gather(
            client.execblock(code, **options), client.eval("2", **options), return_exceptions=True
        )
        assert type(first) is RemoteException
        assert second == 2
        return type(raised.value.orig).__name__

    assert asyncio.run(main()) == name


def test_exit_status(client: Any) -> None:
    """The status of a remote `sys.exit` can be read from the error."""
    response = client.sys.exit(3, nonblocking=True, origexc="quiet")

    assert response.exception().orig.code == 3


@pytest.mark.parametrize("nonblocking", [False, True])
def test_limit_as_an_argument(far: Any, nonblocking: bool) -> None:
    """A time limit that the remote function does not take says how to limit the call; one that it takes is its own."""

    def call(function: Any, *args: Any) -> Any:
        result = function(*args, timeout=3, nonblocking=nonblocking, origexc="quiet")
        return result.wait() if nonblocking else result

    host = r"\(.* write easycluster\.options\(host, timeout=3\)\)"
    for function in (far.get_limit, far.len, easycluster.options(far, threadid=1).get_limit, far.Meter):
        with pytest.raises(TypeError, match=host):
            call(function)
    with pytest.raises(TypeError, match=host.replace("host", "proxy")):
        call(far.Meter().read)

    assert call(far.nap, 0) == 3
    with pytest.raises(TypeError) as raised:
        far.get_limit_soon(origexc="quiet")
    assert str(raised.value).endswith("'timeout'")  # user code makes the mistake
    assert easycluster.options(far, timeout=60).get_limit() == 3


def test_limit_as_an_argument_is_reported(far: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed has the hint, too."""
    with pytest.raises(TypeError):
        far.get_limit(timeout=3)

    assert "write easycluster.options(host, timeout=3)" in capsys.readouterr().err


def test_lazy_iterators(far: Any) -> None:
    """The function of a map is called on the host, when the master asks for its value, and not on the master."""
    there = far.os.getpid()
    assert there != os.getpid()
    assert list(far.map(far.process.value, [1, 2])) == [(1, there), (2, there)]
    assert list(far.map(lambda number: (number, os.getpid()), [1])) == [(1, there)]
    assert list(far.filter(lambda number: os.getpid() == number, [1, there])) == [there]
    assert list(far.itertools.starmap(far.process.value, [(1,)])) == [(1, there)]
    assert next(far.iter(far.os.getpid.value, 0)) == there


def test_lazy_iterators_are_proxies(far: Any) -> None:
    """They may stand inside of a result, be passed back, be asked ahead, and be given an iterator of the host."""
    inside, generator = far.eval("[[zip('ab', [1, 2])], (number for number in range(3))]")

    assert dict(inside[0]) == {"a": 1, "b": 2}
    assert list(far.enumerate(generator)) == [(0, 0), (1, 1), (2, 2)]
    assert far.list(far.map(str, [1, 2])) == ["1", "2"]
    assert list(easycluster.options(far.reversed("abcd"), prefetch=2)) == list("dcba")
    values = far.map(int, ["1", "x", "3"])
    assert next(values) == 1
    with pytest.raises(ValueError, match="'x'"):
        next(easycluster.options(values, origexc="quiet"))
    assert list(values) == [3]


def test_callback_as_an_argument(far: Any) -> None:
    """A function among the arguments is called there, on a copy: that is no error, because it may be meant."""
    got: list[int] = []

    assert list(far.map({1: 2}.get, [1, 3])) == [2, None]
    far.list(far.map(got.append, [1, 2, 3]))
    assert got == []


def test_file_as_an_argument(far: Any, tmp_path: Path) -> None:
    """The text of a local file is sent; a file that cannot be sent says how to open one on the host."""
    path = tmp_path / "big.txt"
    path.write_bytes(b"one\ntwo\n")

    with path.open() as file:
        assert far.list(file) == ["one\n", "two\n"]
    with (
        path.open("rb") as file,
        pytest.raises(SerializationError, match=r"\(host\.open\(path\) opens a file"),
    ):
        far.list(file)
    with far.open(str(path), "rb") as file:
        assert far.list(file) == [b"one\n", b"two\n"]


def test_exported_methods_alone(far: Any) -> None:
    """A class that names its methods only hides no attribute, as published; one that names attributes, too, does."""
    meter, closed = far.Meter(), far.ClosedMeter()
    meter.calibrate()

    assert (meter.read(), meter.zero) == (6, 1)
    assert closed.read() == 5
    for name in ("zero", "calibrate"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; exported are the methods read"):
            getattr(closed, name)


def test_options_that_mean_something_else(far: Any) -> None:
    """Values that would be taken for another one in silence are refused before anything is sent."""
    with pytest.raises(TypeError, match=r"first option of eval\(\) is nonblocking"):
        far.eval("limit", {"limit": 7})
    with pytest.raises(TypeError, match="first option of update_definitions"):
        far.update_definitions("limit = 8")
    with pytest.raises(TypeError, match="nonblocking must be True or False, not 'no'"):
        far.change_limit(nonblocking="no")
    with pytest.raises(ValueError, match="origexc must be True, False or 'quiet', not 'quite'"):
        far.change_limit(origexc="quite")
    with pytest.raises(ValueError, match="origexc must be True, False or 'quiet', not 'quite'"):
        easycluster.options(far, origexc="quite")
    response = far.get_limit(nonblocking=True)
    with pytest.raises(ValueError, match=r"not 5; a time limit is wait\(timeout=5\)$"):
        response.wait(5)

    assert response.wait(timeout=60) == 3
