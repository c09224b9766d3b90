"""Documentation of server objects, from the classes that this process has."""

from __future__ import annotations

import array
import inspect
import itertools
import math
from typing import Any

import pytest

import easycluster
from easycluster_client._calls import documentation
from easycluster_client._calls.documentation import (
    document_methods,
    find_class,
    find_in,
    get_docstring,
    get_function,
)
from easycluster_protocol._objects.proxy_classes import make_proxy_class

REMOTE_CODE = "easycluster.remote_code"

DEFINITIONS = '''
class Above:
    def shared(self, x):
        """Shared."""
    def own(self):
        """Above."""

class Board(Above):
    """A board."""
    def own(self, y=1):
        """Own."""
    @staticmethod
    def static(z):
        """Static."""
    @classmethod
    def of_class(cls, w):
        """Of class."""
    size = property(lambda self: 1 / 0, doc="Its size.")
    class Pin:
        """A pin."""

class Other(Above):
    def own(self):
        """Other."""
'''


@pytest.fixture(autouse=True)
def definitions(no_definitions: None) -> None:
    """The classes are defined."""
    easycluster.define_common(DEFINITIONS)


_numbers = itertools.count()


@pytest.fixture
def kind() -> Any:
    """A class of proxies, which no other test has."""
    names = ("own", "shared", "static", "of_class", "unknown", f"own_{next(_numbers)}")
    return make_proxy_class((names, (), (), False))


def test_classes() -> None:
    """A class is found by its full name in the modules that were imported; nothing is imported for it."""
    module: Any = easycluster.definitions_module(REMOTE_CODE)

    board, pin = module.Board, module.Board.Pin
    assert find_class(f"{REMOTE_CODE}.Board") is board
    assert find_class(f"{REMOTE_CODE}.Board.Pin") is pin
    assert find_class("array.array") is array.array
    for name in f"{REMOTE_CODE}.Nothing", "no_such_module.Board", "math.pi", "Board", "":
        assert find_class(name) is None


def test_docstrings() -> None:
    """Modules, classes, functions and properties have docstrings; those of other values are their class's."""
    board = easycluster.definitions_module(REMOTE_CODE).Board

    assert get_docstring(board) == "A board."
    assert get_docstring(math) == math.__doc__
    for name, docstring in (
        ("own", "Own."),
        ("static", "Static."),
        ("of_class", "Of class."),
        ("size", "Its size."),
    ):
        assert get_docstring(find_in(board, [name])) == docstring
    assert get_docstring(vars(dict)["get"]) == dict.get.__doc__
    assert get_docstring(5) is get_docstring(None) is None


def test_methods(kind: Any) -> None:
    """Methods of proxies have the docstrings and signatures of those that they forward."""
    document_methods(kind, f"{REMOTE_CODE}.Board")
    proxy = kind.__new__(kind)

    found = {
        name: (getattr(kind, name).__doc__, str(inspect.signature(getattr(proxy, name)))) for name in NAMES
    }
    assert found == {
        "own": ("Own.", "(y=1)"),
        "shared": ("Shared.", "(x)"),
        "static": ("Static.", "(z)"),
        "of_class": ("Of class.", "(w)"),
        "unknown": (None, "(*args: 'Any', **kwargs: 'Any') -> 'Any'"),
    }


NAMES = ("own", "shared", "static", "of_class", "unknown")


def test_classes_that_share_their_proxies(kind: Any) -> None:
    """Methods that two classes document in different ways are documented by neither, whatever comes later."""
    for name in "Board", "Other", "Board":
        document_methods(kind, f"{REMOTE_CODE}.{name}")

    assert (kind.own.__doc__, kind.shared.__doc__, kind.static.__doc__) == (None, "Shared.", None)
    assert str(inspect.signature(kind.own)).startswith("(self: 'Any', *args")


def test_classes_that_are_defined_again(kind: Any) -> None:
    """The later definition documents the methods."""
    document_methods(kind, f"{REMOTE_CODE}.Board")
    easycluster.define_common('class Board:\n    def own(self, new):\n        """New."""\n')
    document_methods(kind, f"{REMOTE_CODE}.Board")

    assert (kind.own.__doc__, kind.static.__doc__) == ("New.", None)
    assert str(inspect.signature(kind.own)) == "(self, new)"


def test_classes_that_are_not_here(kind: Any) -> None:
    """Nothing is documented."""
    document_methods(kind, "no_such_module.Board")

    assert kind.own.__doc__ is None


def test_functions() -> None:
    """Class methods and static methods hold a function; other values are taken as they are."""
    assert get_function(staticmethod(len)) is len
    assert get_function(len) is len


def test_classes_that_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes with the same class of proxies document it once each, however often their objects come."""
    cls = make_proxy_class((("own", "shared"), (), (), False))
    documented: list[str] = []
    monkeypatch.setattr(
        documentation, "_document", lambda forwarder, class_name, method: documented.append(class_name)
    )
    names = [f"{REMOTE_CODE}.Board", f"{REMOTE_CODE}.Other"]

    for name in names * 3:
        document_methods(cls, name)

    assert documented == [names[0], names[0], names[1], names[1]]
