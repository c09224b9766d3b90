"""`client.get_root()`: the server itself as an object."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost, RemoteProxy, ThreadedClient
from easycluster_server._serving.operations import Operations

THREADED_TOO = True
TLS_TOO = True


def test_operations(client: Any) -> None:
    """Every operation of the server is a method, which takes the keywords of every call."""
    root = client.get_root()

    assert root.eval("1 + 1") == 2
    assert root.eval("6 * 7", nonblocking=True).wait() == 42
    assert root.execblock("from easycluster import exec_return\nexec_return('value')") == "value"
    root.set_value("x", 5)
    assert root.get_value("x") == client.x.value == 5
    with pytest.raises(NameError, match="nowhere"):
        root.get_value("nowhere", origexc="quiet")
    assert set(type(root).proxy_methods) == Operations.NAMES


def test_operations_on_objects(client: Any) -> None:
    """The root gets and sets attributes of the objects whose proxies it is given."""
    client.execblock("from easycluster import ServerObject\nclass Thing(ServerObject): size = 1\n")
    thing = client.Thing()

    client.get_root().set_attribute(thing, "size", 2)

    assert client.get_root().get_attribute(thing, "size") == thing.size == 2


def test_identity(client: Any) -> None:
    """The root is a proxy like any other: one at a time, which knows its client, and names its server."""
    root = client.get_root()

    assert root is client.get_root()
    assert isinstance(root, RemoteProxy)
    assert (root.proxy_connection, root.proxy_object_id) == (client, 0)
    assert repr(root) == f"<RemoteProxy for oid 0 on {client.peername}>"


def test_nothing_is_released(client: Any) -> None:
    """A root that is dropped gives nothing back: the server holds no object for it."""
    client.get_root().eval("1")
    gc.collect()

    assert client._easycluster_calls.session.references.take_releases() == []
    assert client.get_root().eval("2") == 2


def test_what_it_is_not(client: Any) -> None:
    """It has no attributes but its operations, and cannot be an argument; the error says so."""
    root = client.get_root()

    with pytest.raises(
        AttributeError, match="'RootProxy' object has no attribute 'nothing'; exported are .*eval"
    ):
        root.nothing  # noqa: B018
    with pytest.raises(
        AttributeError, match="the server has no operation '__init__': call\\(name, ...\\) calls a function"
    ):
        root.raw_call_method("__init__", origexc="quiet")
    with pytest.raises(TypeError, match=r"oid 0 on .* is the server itself, which cannot be passed"):
        client.call("str", root)


def test_root_of_a_connection_that_ended(connect: Any, transport: Any) -> None:
    """After the end of its connection it is stale, and a client without one has none."""
    client = connect()
    root = client.get_root()
    if transport.name == "local":
        client.close()
    else:
        client.reconnect()
        assert client.get_root() is not root
        assert client.get_root().eval("1") == 1
        client.close()

    assert root.proxy_connection is None
    with pytest.raises(ConnectionLost, match="has ended"):
        root.eval("1")
    with pytest.raises(ConnectionLost, match="not connected"):
        client.get_root()


def test_root_of_a_view(spawn: Any) -> None:
    """The root of a view carries the options of the view."""
    client = spawn(ThreadedClient)
    view = easycluster.options(client, nonblocking=True)

    assert view.get_root().eval("6 * 7").wait() == 42
    assert client.get_root().eval("6 * 7") == 42
