"""The proxy of the server itself."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from easycluster_client._api.client import Client
from easycluster_client._api.root_proxy import RootProxy
from easycluster_protocol._wire import messages as m
from easycluster_server._serving.operations import Operations
from helpers.hand_made import HandMadeServer


@pytest.fixture
def root(server: HandMadeServer) -> Any:
    """The proxy of the server that is played by hand."""
    client = Client()
    client._easycluster_calls.open(server.session)
    return client.get_root()


def test_names_of_the_root() -> None:
    """It has the operations of servers as methods, and no others."""
    assert RootProxy.proxy_methods == tuple(sorted(Operations.NAMES))
    assert all(callable(getattr(RootProxy, name)) for name in Operations.NAMES)


def test_method_of_the_root(server: HandMadeServer, root: Any) -> None:
    """A method is one of object 0."""
    root.eval("1 + 1", nonblocking=True, threadid=3)
    (message,) = server.receive(1)

    assert (message.kind, message.thread) == (m.INVOKE, 3)
    assert pickle.loads(message.body) == (0, "eval", ("1 + 1",), {})


def test_name_that_the_server_does_not_have(root: Any) -> None:
    """Another name is missing, without asking the server."""
    with pytest.raises(
        AttributeError, match="^'RootProxy' object has no attribute 'quit'; exported are the methods define, "
    ):
        _ = root.quit


def test_root_that_is_passed(server: HandMadeServer, root: Any) -> None:
    """It cannot be passed to a call, not even on its own connection, nor be pickled."""
    text = "^<RemoteProxy for oid 0 on the server> is the server itself, which cannot be passed to a call: "
    with pytest.raises(TypeError, match=text):
        pickle.dumps(root)
    with pytest.raises(TypeError, match="is the server itself, which cannot be passed to a call"):
        root.eval(root, nonblocking=True)

    assert len(server.received) == 0


def test_root_that_is_gone(server: HandMadeServer) -> None:
    """No receipt is given back for it."""
    client = Client()
    client._easycluster_calls.open(server.session)
    for _ in range(2):
        client.get_root()

    assert list(server.session.references.take_releases()) == []
