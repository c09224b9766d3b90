"""What an uncaught exception shows: the name of its host once, and its remote stack trace twice at most."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import RemoteException, call_multi, define_common, eval_multi

DEFINITIONS = """
def fail():
    raise LookupError("here")  # a line to be seen

def fail_with(error):
    raise error

class Failing(ServerObject):
    export_attrs = ("broken",)

    def fail(self):
        fail()

    @property
    def broken(self):
        fail()

def numbers():
    yield 1
    fail()
"""

SEEN = "  # a line to be seen"

since_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


def wait_twice(client: Any) -> None:
    """Wait for the same failed call again."""
    response = client.fail(nonblocking=True)
    with pytest.raises(LookupError):
        response.result()
    with pytest.raises(LookupError):
        response.wait()
    response.result()


def look_first(client: Any) -> None:
    """Look at the error before it is raised."""
    response = client.fail(nonblocking=True)
    assert isinstance(response.exception(), LookupError)
    response.result()


async def wait_in_asyncio(client: Any) -> None:
    """Await a call that fails."""
    await client.fail(nonblocking=True)


WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda client: client.fail(),
    "nonblocking": lambda client: client.fail(nonblocking=True).wait(),
    "again": wait_twice,
    "exception first": look_first,
    "await": lambda client: asyncio.run(wait_in_asyncio(client)),
    "call_multi": lambda client: call_multi([client], "fail"),
    "eval_multi": lambda client: eval_multi([client], "fail()"),
    "outcome": lambda client: call_multi(easycluster.options([client], errors="return"), "fail")[0].result(),
    "as completed": lambda client: next(easycluster.as_completed([client.fail(nonblocking=True)])).result(),
    "eval": lambda client: client.eval("fail()"),
    "execblock": lambda client: client.execblock("fail()"),
    "origexc": lambda client: client.fail(origexc=False),
    "wait with origexc": lambda client: client.fail(nonblocking=True).wait(False),
    "with a limit": lambda client: easycluster.options(client, timeout=60).fail(),
    "method": lambda client: client.Failing().fail(),
    "attribute": lambda client: client.Failing().broken,
    "generator": lambda client: list(client.numbers()),
    "prefetch": lambda client: list(easycluster.options(client.numbers(), prefetch=2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_uncaught_exception(client: Any, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Report and cause have the stack trace, so it shows twice at most; the exception itself names its host once."""
    with pytest.raises(Exception, match="here") as caught:
        WAYS[way](client)

    shown = "".join(traceback.format_exception(caught.value))
    reported = capsys.readouterr().err
    assert shown.count(client.peername) == 1
    assert isinstance(caught.value, (LookupError, RemoteException))
    assert 1 <= (shown + reported).count(SEEN) <= 2
    assert reported.count("Exception on") <= 1


@since_3_11
def test_note_is_there_once(client: Any) -> None:
    """An exception that goes to its host and comes back is not named twice, and its own notes stay first."""
    error = ValueError("mine")
    error.add_note("my note")
    for _ in range(2):
        with pytest.raises(ValueError, match="mine") as caught:
            client.fail_with(error, origexc="quiet")
        error = caught.value

    assert error.__notes__ == ["my note", f"on {client.peername}"]


@since_3_11
def test_completion_function(client: Any) -> None:
    """The RemoteException that a completion function gets names the host."""
    told: list[RemoteException] = []
    with pytest.raises(LookupError):
        client.fail(onerror=told.append).wait("quiet")

    assert told[0].__notes__ == [f"on {client.peername}"]


@since_3_11
def test_definitions_that_fail(client: Any) -> None:
    """An error of definitions names the host that could not execute them."""
    define_common("import no_such_module", local=False)
    with pytest.raises(easycluster.DefinitionError) as caught:
        client.update_definitions()

    assert "".join(traceback.format_exception(caught.value)).count(client.peername) == 1
