"""When a server hears of proxies that are gone, while nobody makes a call."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import Client, ThreadedClient, define_common
from helpers.remote_tasks import Tasks
from helpers.server_objects import kept
from helpers.waiting import wait_until

pytestmark = pytest.mark.usefixtures("object_definitions")

WITNESS = """
class Witness(ServerObject):
    def __init__(self, path):
        self.path = path
    def __del__(self):
        open(self.path, 'a').close()
"""


def define(client: Any) -> Any:
    """Let the server have objects that leave a file when they go."""
    define_common(WITNESS)
    client.update_definitions()
    return client


def let_go(client: Any, path: Path) -> None:
    """Make an object and drop its proxy."""
    proxy = client.Witness(str(path))
    assert not path.exists()
    del proxy


def test_threaded_client(spawn: Callable[..., Any], tmp_path: Path) -> None:
    """The background thread gives back what is dropped, without any call; also what answers name that are
    dropped unread."""
    client = define(spawn(ThreadedClient))

    for number in range(3):
        let_go(client, tmp_path / str(number))
        wait_until((tmp_path / str(number)).exists, what="the end of the object")
    response = client.Witness(str(tmp_path / "unread"), nonblocking=True)
    wait_until(partial(getattr, response, "have_response"))
    del response
    gc.collect()
    wait_until((tmp_path / "unread").exists, what="the end of the object")


def test_threaded_client_with_many(spawn: Callable[..., Any]) -> None:
    """However many proxies go at once, all are given back; the background thread rests afterwards."""
    client = spawn(ThreadedClient)
    things = client.things(3000)
    session = client._easycluster_calls.session
    del things

    wait_until(lambda: not session.references.garbage and not session.garbage_noted)
    kept(client, 0)


def test_after_the_end(spawn: Callable[..., Any]) -> None:
    """Proxies that go after their connection wake nobody and raise nothing."""
    client = spawn(ThreadedClient)
    things = client.things(5)
    client.close()
    del things[2:]
    session = things[0]._easycluster_state.references.session
    wait_until(lambda: session.is_closed)

    assert len(session.references.garbage) == 3


def too_late(wait: Callable[..., Any]) -> None:
    """Wait in vain."""
    with pytest.raises(TimeoutError):
        wait(timeout=0.01)


WAITS: dict[str, Callable[[Any, Any], Any]] = {
    "done": lambda client, response: response.done(),
    "wait": lambda client, response: too_late(response.wait),
    "result": lambda client, response: too_late(response.result),
    "read_response": lambda client, response: client.read_response(block=False),
    "easycluster.wait": lambda client, response: easycluster.wait([response], timeout=0.01),
    "another call": lambda client, response: client.eval("None", threadid=7, nonblocking=True),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_client(
    spawn: Callable[..., Any],
    tasks: Tasks,
    task_definitions: None,
    tmp_path: Path,
    wait: Callable[[Any, Any], Any],
    busy: bool,
) -> None:
    """A `Client` gives back with its next message, and whenever it looks or waits for an answer that is not there."""
    client = define(spawn(Client))
    threadid = 0 if busy else 3
    response = client.wait_for(tasks.path("late"), nonblocking=True, threadid=threadid)
    other = client.Witness(str(tmp_path / "gone"), threadid=4)
    del other
    assert len(client._easycluster_calls.session.references.garbage) == 1
    wait(client, response)

    wait_until((tmp_path / "gone").exists, what="the end of the object")
    tasks.finish("late")
    response.wait()
