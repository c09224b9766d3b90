"""``with`` blocks of objects that stay on the server, when the connection ends inside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost

THREADED_TOO = True
TLS_TOO = True

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
import os

class Camera(ServerObject):
    def __enter__(self):
        return self
    def __exit__(self, *error):
        pass
    def run(self):
        os._exit(3)
"""

#: How a script enters the block.
WAYS: dict[str, Callable[[Any], Any]] = {
    "object": lambda client: client.Camera(),
    "view": lambda client: easycluster.options(client.Camera(), timeout=60),
    "file": lambda client: client.open(client.os.devnull.value, "w"),
    "view of a file": lambda client: easycluster.options(
        client.open(client.os.devnull.value, "w"), timeout=60
    ),
}


@pytest.fixture(params=WAYS)
def make(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Makes an object with a block."""
    return WAYS[request.param]


def kill(client: Any) -> None:
    """End the server's process from outside, which a plain client does not notice."""
    os.kill(client.os.getpid(), signal.SIGKILL)


def test_loss_inside(far: Any, make: Callable[[Any], Any]) -> None:
    """The call that was lost raises the one error; leaving adds nothing to it."""
    with pytest.raises(ConnectionLost) as caught, make(far):
        far.os._exit(3)

    assert caught.value.__context__ is None


def test_loss_caught_inside(far: Any, make: Callable[[Any], Any]) -> None:
    """A script that has caught the loss leaves the block without another one."""
    with make(far):
        with pytest.raises(ConnectionLost):
            far.os._exit(3)


def test_another_error_first(far: Any, make: Callable[[Any], Any]) -> None:
    """An error of the script's own stays when leaving finds that the connection is lost."""
    with pytest.raises(ValueError, match="first"), make(far):
        kill(far)
        raise ValueError("first")


def test_unnoticed_loss(far: Any, make: Callable[[Any], Any]) -> None:
    """Where nothing has told the script, leaving the block does: what it was to finish is not done."""
    with pytest.raises(ConnectionLost), make(far):
        kill(far)


def test_closed_inside(far: Any, make: Callable[[Any], Any]) -> None:
    """After `close` there is nothing to leave."""
    with make(far):
        far.close()


def test_exit_stack(far: Any) -> None:
    """Every object of a stack is left, and the first error comes out."""
    left: list[str] = []
    with pytest.raises(ConnectionLost) as caught, contextlib.ExitStack() as stack:
        stack.callback(left.append, "first")
        cameras = [stack.enter_context(way(far)) for way in WAYS.values()]
        cameras[0].run()

    assert left == ["first"]
    assert caught.value.__context__ is None
