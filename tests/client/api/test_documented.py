"""What shells show of names on a server: docstrings, signatures and completions of the definitions."""

from __future__ import annotations

import inspect
import pydoc
import rlcompleter
from typing import Any

import pytest

import easycluster
from easycluster_client._api.documented import of_instance
from easycluster_client._api.remote_names import RemoteName
from helpers.noted_client import NotedClient, noted

DEFINITIONS = '''
import math
limit = 5

def add(a, b=2):
    """Add two numbers."""

class Board:
    """A board."""
    def __init__(self, size):
        pass
    def move(self, steps):
        """Move it."""
    @classmethod
    def make(cls, name):
        """Make one."""
    @staticmethod
    def count(what):
        """Count them."""
'''


@pytest.fixture
def client(no_definitions: None) -> Any:
    """A client that notes its calls."""
    easycluster.define_common(DEFINITIONS)
    return NotedClient()


@pytest.fixture(params=["name", "view"])
def host(request: pytest.FixtureRequest, client: Any) -> Any:
    """The client, and a view of it."""
    yield client if request.param == "name" else easycluster.options(client, timeout=5)
    assert noted(client).made == []


def test_docstrings(host: Any) -> None:
    """A name has the docstring of its definition; one that has none, or is not defined, that of all names."""
    assert (host.add.__doc__, host.Board.__doc__, host.Board.move.__doc__) == (
        "Add two numbers.",
        "A board.",
        "Move it.",
    )
    assert host.limit.__doc__ == host.other.__doc__ == host.Board.other.__doc__ == RemoteName.__doc__
    assert inspect.getdoc(host.add) == "Add two numbers."
    assert "Add two numbers." in pydoc.render_doc(host.add)
    assert (RemoteName.__doc__ or "").startswith("A dotted name on the server: ")


def test_signatures(host: Any) -> None:
    """A name has the signature of its definition, if that has one."""
    for name, signature in (
        (host.add, "(a, b=2)"),
        (host.Board, "(size)"),
        (host.Board.move, "(self, steps)"),
        (host.Board.make, "(name)"),
        (host.Board.count, "(what)"),
    ):
        assert str(inspect.signature(name)) == signature
    for name in host.limit, host.other:
        assert not hasattr(name, "__signature__")
        assert list(inspect.signature(name).parameters) == ["args", "kwargs"]


def test_completions(host: Any) -> None:
    """The names of definitions are completed, and those in classes and modules; no value is read."""
    assert {"add", "Board", "math", "limit", "connect"} < {*dir(host)}
    assert not {"Client", "define_common", "__builtins__"} & {*dir(host)}
    assert {"move", "make", "count"} < {*dir(host.Board)}
    assert {"pi", "sin"} < {*dir(host.math)}
    assert "value" not in dir(host.limit)
    completer = rlcompleter.Completer({"host": host})
    assert [completer.complete(text, 0) for text in ("host.ad", "host.Board.mo")] == [
        "host.add(",
        "host.Board.move(",
    ]


def test_attributes_of_instances() -> None:
    """The class has its own, or none."""

    class Owner:
        """Of the class."""

        own = of_instance(type)
        both = of_instance(type, "of the class")

    assert (Owner().own, Owner().both, Owner.both) == (Owner, Owner, "of the class")
    with pytest.raises(AttributeError, match="type object 'Owner' has no such attribute"):
        Owner.own  # noqa: B018
