"""Clients and responses where they cannot be used: sent, pickled, copied, or after the end."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster import (
    Client,
    ClientGroup,
    ConnectionLost,
    SerializationError,
    ThreadedClient,
    call_multi,
    define_common,
)
from helpers.remote_tasks import Tasks

pytestmark = pytest.mark.usefixtures("task_definitions")

BOTH = pytest.mark.parametrize("kind", [Client, ThreadedClient])

#: Ways to make a value of something that is none.
COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": pickle.dumps,
    "pickle by an old protocol": lambda value: pickle.dumps(value, 0),
    "pickle inside": lambda value: pickle.dumps({"key": [value]}),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@BOTH
@pytest.mark.parametrize("how", COPIES)
def test_copies(spawn: Any, tasks: Tasks, kind: Any, how: str) -> None:
    """Clients and responses, pending and done, cannot be pickled or copied, which is said with what to do instead."""
    client = spawn(kind)
    pending, done = tasks.start(client, "late", threadid=1), client.add(1, nonblocking=True)
    done.wait()
    for value, text in (
        (client, "connect again where it is needed"),
        (pending, r"its value, which wait\(\) returns, can be"),
        (done, r"its value, which wait\(\) returns, can be"),
    ):
        with pytest.raises(TypeError, match=f"cannot be sent, pickled or copied.* {text}"):
            COPIES[how](value)
    tasks.finish("late")

    assert pending.wait() == "late"


@BOTH
def test_sending(spawn: Any, kind: Any) -> None:
    """They cannot be sent as arguments either, nor in a group or a function by value; the connection goes on."""
    client = spawn(kind)
    response = client.add(1, nonblocking=True)
    sends: list[Callable[[], Any]] = [
        lambda: client.same(client),
        lambda: client.same([response]),
        lambda: client.same(response, nonblocking=True),
        lambda: client.same(ClientGroup([client])),
        lambda: client.call(lambda: client.add(1)),
        lambda: client.call(lambda: [response.wait()]),
    ]
    for send in sends:
        with pytest.raises(SerializationError, match="cannot be sent, pickled or copied"):
            send()

    assert response.wait() == client.add(1) == 2


class Restorable(Client):
    """A client of a script's own that says how it is made anew."""

    def __reduce__(self) -> Any:
        return (str, (self.peername,))


def test_class_that_can_be_pickled(spawn: Any) -> None:
    """A subclass may say how its clients are made anew elsewhere."""
    client = spawn(Restorable)

    assert pickle.loads(pickle.dumps(client)) == client.peername


#: What cannot be done with a client that is closed.
USES: dict[str, Callable[[Any], Any]] = {
    "call": lambda client: client.add(1),
    "nonblocking call": lambda client: client.add(1, nonblocking=True),
    "call with oncomplete": lambda client: client.add(1, oncomplete=print),
    "call with a limit": lambda client: easycluster.options(client, timeout=5).add(1),
    "call_multi": lambda client: call_multi([client], "add", 1),
    "eval": lambda client: client.eval("1"),
    "execblock": lambda client: client.execblock("pass"),
    "import_module": lambda client: client.import_module("os"),
    "raw_call": lambda client: client.raw_call("add", [1]),
    "send_request": lambda client: client.send_request(0, "eval", ["1"]),
    "function by value": lambda client: client.call(lambda: 1),
    "value": lambda client: client.os.name.value,
    "assignment": lambda client: setattr(client.name, "value", 1),
    "update_definitions": lambda client: client.update_definitions(),
    "stop_remote_thread": lambda client: client.stop_remote_thread(1),
    "fileno": lambda client: client.fileno(),
    "write_fileno": lambda client: client.write_fileno(),
    "wait_ready": lambda client: client.wait_ready(),
    "server_version": lambda client: client.server_version,
    "get_root": lambda client: client.get_root(),
}


@BOTH
@pytest.mark.parametrize("how", ["closed", "never connected"])
def test_client_that_is_not_connected(spawn: Any, kind: Any, how: str) -> None:
    """Whatever is done with it raises an error that says what to do; closing it again is nothing."""
    client = kind()
    expected = r"^the client is not connected: call connect\(\) first$"
    if how == "closed":
        client = spawn(kind)
        client.close()
        expected = rf"^not connected to {client.peername} \(closed\): start a new one with spawn_local\(\)$"
    define_common("new = 1")
    for use in USES.values():
        with pytest.raises(ConnectionLost, match=expected):
            use(client)
    client.close()

    assert not client.connected
    assert not client.ready()
    assert ClientGroup([client]).read_responses() == 0


@BOTH
def test_responses_of_a_closed_client(spawn: Any, tasks: Tasks, kind: Any) -> None:
    """What came before the end can still be had; what did not raises, however it is asked for, again and again."""
    client = spawn(kind)
    done, pending = client.add(1, nonblocking=True), tasks.start(client, "never", threadid=1)
    done.wait()
    client.close("enough of this")
    asks: list[Callable[[], Any]] = [
        pending.wait,
        pending.result,
        lambda: easycluster.wait([pending]).done.pop().result(),
        lambda: next(easycluster.as_completed([pending])).wait(timeout=1),
        pending.fileno,
    ]
    for ask in asks:
        with pytest.raises(ConnectionLost, match="enough of this"):
            ask()

    assert (done.wait(), done.result(), done.exception()) == (2, 2, None)
    assert str(pending.exception()) == "enough of this"
