"""Where proxies may go, and when they end."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from easycluster_protocol.errors import ConnectionLost
from helpers.server_objects import kept

pytestmark = pytest.mark.usefixtures("object_definitions")

Connect = Callable[..., Any]


def test_on_another_connection(local: Any, spawn: Connect) -> None:
    """Passing a proxy to another connection, or pickling it, is a `TypeError` that names it; nothing was called."""
    other = spawn()
    thing = local.Thing()
    name = re.escape(repr(thing))

    with pytest.raises(TypeError, match=f"argument 1 of len .*{name} cannot be passed to {other.peername}"):
        other.call("len", [thing])
    with pytest.raises(TypeError, match=rf"^<Thing \(object 1\) on {local.peername}> cannot be pickled"):
        pickle.dumps({"thing": thing})
    assert (other.eval("5"), thing.value) == (5, 0)


def test_in_a_forked_process(local: Any) -> None:
    """In a process that was forked from the master a proxy says so; that of the master goes on."""
    thing = local.Thing(3)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said: list[str] = []
        for use in (thing.itself, lambda: thing.value, lambda: local.is_same(thing), lambda: repr(thing)):
            try:
                said.append(use())
            except BaseException as error:
                said.append(f"{type(error).__name__}: {error}")
        os.write(writing, "\n".join(said).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        *errors, shown = file.read().splitlines()
    os.waitpid(child, 0)

    assert shown == repr(thing)
    assert len(errors) == 3
    for each in errors:
        assert each.startswith("CallNotSent: the connection to ")
        assert "belongs to the process from which this one was forked" in each
    assert thing.value == 3


def test_in_another_process(local: Any) -> None:
    """A proxy cannot be handed to another process: multiprocessing cannot pickle it."""
    thing = local.Thing(3)
    for value in (thing, thing.itself, [thing]):
        with pytest.raises(
            TypeError, match=r"Thing \(object 1\) on .* cannot be pickled: the object stays on local"
        ):
            ForkingPickler.dumps(value)

    assert thing.value == 3


def test_after_the_connection(client: Any) -> None:
    """After close() and reconnect() a proxy says that it has ended; new objects are not taken for it."""
    thing = client.Thing(1)
    reconnects = client.remote_host is not None
    if reconnects:
        client.reconnect()
    else:
        client.close()

    assert thing.proxy_connection is None
    ended = "on which this object was given has ended"
    with pytest.raises(ConnectionLost, match=ended):
        thing.itself()
    with pytest.raises(ConnectionLost, match=ended):
        _ = thing.value
    with pytest.raises(ConnectionLost, match=ended):
        thing.value = 3
    assert re.fullmatch(r"<RemoteProxy for oid 1 on .*>", repr(thing))
    if reconnects:
        other = client.Thing(2)
        assert other.proxy_object_id == thing.proxy_object_id
        with pytest.raises(TypeError, match="has ended"):
            client.is_same(thing)
        del thing
        assert client.eval("1") == 1
        assert other.value == 2
        kept(client, 1)
