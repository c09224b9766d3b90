"""Dotted names on a server: what they read, set and call, and what they are not."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import pytest

from easycluster import define_common
from easycluster_client._api.remote_names import RemoteName, check_forwardable
from helpers.noted_client import NotedClient, call_of, noted, operation_of


@pytest.fixture
def client() -> NotedClient:
    """A client that notes its calls."""
    return NotedClient()


@pytest.fixture
def name(client: NotedClient) -> RemoteName:
    """A name."""
    return RemoteName(client, "a.b")


# Names that are not forwarded.


@pytest.mark.parametrize(
    "name", ["__len__", "__array_interface__", "_repr_html_", "_repr_", "_ipython_display_"]
)
def test_names_that_mean_the_object_here(client: NotedClient, name: str) -> None:
    """Dunder names, and those that notebooks look for, are missing here."""
    with pytest.raises(AttributeError) as raised:
        check_forwardable("<owner>", name, client, name)

    assert str(raised.value) == (
        f"<owner> has no attribute {name!r} (such names are not forwarded to the server)"
    )


@pytest.mark.parametrize(
    "name", ["_private", "__half", "half__", "_half__", "__half_", "a_repr_", "repr_html", "_ipython", "_"]
)
def test_names_that_are_forwarded(client: NotedClient, name: str) -> None:
    """Every other name, also a private one, may be one on the server."""
    check_forwardable("<owner>", name, client, name)


def test_names_that_tools_ask_for(client: NotedClient, name: RemoteName) -> None:
    """Those of the definitions are forwarded; for others the error says how to call them."""
    for owner, path in (client, "getdoc"), (name, "a.b.getdoc"):
        with pytest.raises(AttributeError) as raised:
            owner.getdoc  # noqa: B018
        assert f"write host.call('{path}', ...) to call {path} on the server" in str(raised.value)
    assert not hasattr(client, "_is_coroutine")

    define_common("def getdoc(): pass\nclass Board:\n    getdoc = trait_names = property()")

    assert client.getdoc == RemoteName(client, "getdoc")
    assert client.Board.getdoc == RemoteName(client, "Board.getdoc")
    assert not hasattr(client.Board, "_getAttributeNames")
    assert noted(client).made == []


def test_longer_name(client: NotedClient, name: RemoteName) -> None:
    """An attribute is a longer name on the same client, also a private one; nothing is sent."""
    assert name.c == RemoteName(client, "a.b.c")
    assert name._c.d == RemoteName(client, "a.b._c.d")
    assert noted(client).made == []


@pytest.mark.parametrize("missing", ["__iter__", "__contains__", "_repr_html_"])
def test_attribute_that_is_not_forwarded(name: RemoteName, missing: str) -> None:
    """The error for a name that is missing here names the remote name."""
    with pytest.raises(AttributeError, match=f"^<a.b on .not connected.> has no attribute '{missing}'"):
        getattr(name, missing)


# What it does.


def test_value(client: NotedClient, name: RemoteName) -> None:
    """Its value is asked for each time."""
    assert (name.value, name.value) == ("answer", "answer")
    assert noted(client).made == [operation_of("get_value", "a.b")] * 2


def test_missing_value(client: NotedClient, name: RemoteName) -> None:
    """An AttributeError of the server is raised, and the server is asked once."""
    noted(client).answer = AttributeError("of the server")
    with pytest.raises(AttributeError, match="of the server"):
        _ = name.value

    assert len(noted(client).made) == 1


def test_value_is_set(client: NotedClient, name: RemoteName) -> None:
    """Assigning to the value sets it on the server."""
    name.value = [1]

    assert noted(client).made == [operation_of("set_value", "a.b", [1])]


def test_other_attributes_are_not_set(client: NotedClient, name: RemoteName) -> None:
    """Assigning to another attribute says how to set that one; nothing is sent."""
    with pytest.raises(AttributeError) as raised:
        name.c = 1

    assert str(raised.value) == "to set a.b.c on the server, assign to .c.value"
    assert noted(client).made == []


def test_call(client: NotedClient, name: RemoteName) -> None:
    """Calling it calls the function with all its arguments, apart from the options."""
    assert name(1, self=2, name=3, origexc=False) == "answer"
    assert noted(client).made == [call_of("a.b", 1, kwargs={"self": 2, "name": 3}, origexc=False)]


# What it is here.


def test_repr(name: RemoteName) -> None:
    """It shows its name and the server's."""
    assert repr(name) == "<a.b on (not connected)>"


def test_equal_names(client: NotedClient, name: RemoteName) -> None:
    """Two are equal, with equal hashes, if they are the same name on the same client."""
    same = RemoteName(client, "a.b")

    assert name == same
    assert hash(name) == hash(same)
    assert name != RemoteName(client, "a.c")
    assert name != RemoteName(NotedClient(), "a.b")
    assert len({name, same, RemoteName(client, "a.c"), RemoteName(NotedClient(), "a.b")}) == 3


@pytest.mark.parametrize("value", [True, b"", 1j, {}, 1.0, 1, [], set(), "a.b", ()])
def test_comparing_with_a_value(name: RemoteName, value: Any) -> None:
    """Comparing it with a value is an error that says what was forgotten."""
    for compare, *both in (
        (operator.eq, name, value),
        (operator.ne, name, value),
        (operator.eq, value, name),
    ):
        with pytest.raises(TypeError) as raised:
            compare(*both)
        assert str(raised.value) == (
            "<a.b on (not connected)> is a name on a server, not a value: compare a.b.value instead"
        )


def test_comparing_with_other_objects(name: RemoteName) -> None:
    """None and objects that are no plain values are different from every name."""
    assert name != None  # noqa: E711 -- the comparison is tested
    assert name != object()


@pytest.mark.parametrize("use", [pickle.dumps, copy.copy, copy.deepcopy])
def test_sending_a_name(name: RemoteName, use: Any) -> None:
    """Pickling or copying it is an error that says what was forgotten."""
    with pytest.raises(TypeError) as raised:
        use(name)

    assert str(raised.value) == (
        "<a.b on (not connected)> is a name on a server, not a value: send a.b.value instead"
    )
