"""The master's own copy of the definitions: which names it has, and which attributes are a client's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster_client._api.client import Client
from easycluster_client._api.definitions_here import find_definition, has_definition, is_own_attribute
from helpers.noted_client import NotedClient, noted, operation_of

REMOTE_CODE = "easycluster.remote_code"


@pytest.fixture(autouse=True)
def definitions(no_definitions: None) -> None:
    """Definitions that name a variable, a function and a module."""
    easycluster.define_common("import math\nlimit = 3\n_hidden = 4\ndef f():\n    pass\n")
    easycluster.define_common("far = 1", local=False)


def test_dotted_names() -> None:
    """Parts are found in modules and classes, also inherited ones, without running any code."""
    easycluster.define_common(
        "class Above:\n    def move(self): pass\n    size = property(lambda self: 1 / 0)\n"
        "class Board(Above):\n    class Pin:\n        number = 3\nboard = Board()"
    )
    module = easycluster.definitions_module(REMOTE_CODE)

    assert find_definition(REMOTE_CODE, "Board") is module.Board
    assert find_definition(REMOTE_CODE, "Board.move") is module.Above.move
    assert find_definition(REMOTE_CODE, "Board.size") is vars(module.Above)["size"]
    assert find_definition(REMOTE_CODE, "Board.Pin.number") == 3
    assert find_definition(REMOTE_CODE, "math.pi") == module.math.pi
    for path in "Client", "far", "Board.other", "Board.other.more", "board.move", "math.other", "__name__":
        assert find_definition(REMOTE_CODE, path) is None
    assert find_definition("other", "f") is None


@pytest.mark.parametrize("name", ["math", "limit", "_hidden", "f"])
def test_names_that_are_defined(name: str) -> None:
    """Whatever the script has defined is there, under the name of its module."""
    assert has_definition(REMOTE_CODE, name)
    assert not has_definition("other", name)


@pytest.mark.parametrize("name", ["other", "Client", "easycluster", "__name__", "__file__", "far"])
def test_names_that_are_not_defined(name: str) -> None:
    """Names of every definitions module, and of code that is executed on hosts only, are not."""
    assert not has_definition(REMOTE_CODE, name)


def test_names_of_an_ordinary_module() -> None:
    """An ordinary module has no definitions."""
    assert not has_definition("os", "path")


class Lab(NotedClient):
    """A class of a script, with attributes of its own."""

    f = None

    def __init__(self) -> None:
        self.limit = 1  # before there is a client
        super().__init__()

    def setup(self) -> None:
        """Set attributes, directly and by a function."""
        set_all(self, math=2, limit=2)


def set_all(target: Any, **attributes: Any) -> None:
    """Set attributes."""
    for name, value in attributes.items():
        setattr(target, name, value)


def setup(client: Any) -> None:
    """Set an attribute in a function that is no method, although it has the name of one."""
    client.limit = 5


def test_own_attributes() -> None:
    """An attribute of the object or of its class is its own, and no other name is."""
    lab = Lab()

    assert is_own_attribute(lab, "limit", Client)
    assert is_own_attribute(lab, "f", Client)
    assert is_own_attribute(lab, "close", Client)
    assert not is_own_attribute(lab, "math", Client)


def test_attributes_of_a_subclass() -> None:
    """A class that is derived from the client sets and keeps attributes of its own, whatever is defined."""
    lab: Any = Lab()
    lab.setup()
    lab.math = lab.limit = lab.f = 3

    assert (lab.math, lab.limit, lab.f) == (3, 3, 3)
    assert noted(lab).made == []


@pytest.mark.parametrize(
    "assign",
    [setup, lambda client: set_all(client, limit=5), lambda client: setup(easycluster.options(client))],
    ids=["function", "setattr", "view"],
)
def test_forgotten_value(assign: Callable[[Any], None]) -> None:
    """Setting a client's attribute where a definition has the name is an error that says what to write."""
    client = NotedClient()
    with pytest.raises(AttributeError) as raised:
        assign(client)

    assert str(raised.value) == (
        "limit is among the definitions: to set it on (not connected), assign to .limit.value"
        " (an attribute of the client would hide it)"
    )
    assert "limit" not in vars(client)
    client.limit.value = 5
    assert noted(client).made == [operation_of("set_value", "limit", 5)]


def test_other_attributes() -> None:
    """An attribute that has the name of no definition is the client's own."""
    client: Any = NotedClient()
    client.rack = 5

    assert client.rack == 5
    assert noted(client).made == []


def test_definitions_of_another_module() -> None:
    """Only the definitions that the client uses count."""
    client: Any = NotedClient(definitions="other")
    client.limit = 5

    assert client.limit == 5
