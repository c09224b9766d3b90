"""Built-in types as server classes: objects with attributes, exceptions and functions arrive all the same."""

from __future__ import annotations

from typing import Any

import pytest

import easycluster

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
import collections

class Board:
    def __init__(self):
        self.pins = {"a": 1}
        self.rows = [1, 2]

class Broken(Exception):
    def __init__(self, *, code):
        super().__init__("broken", {"code": code})
        self.code = code

class Loud(dict):
    pass

def boards():
    return Board(), collections.deque([Board()]), Board().pins, Board().rows

def break_down():
    raise Broken(code=3)
"""


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_objects_and_exceptions(far: Any, kind: str) -> None:
    """Their state is copied; values of the type stay, among them those of attributes."""
    far.execblock(f"make_server_class({kind})")

    board, boards, pins, rows = far.boards()
    assert (board.pins["a"], boards[0].rows[1], pins["a"], rows[1]) == (1, 2, 1, 2)
    stays = [isinstance(each, easycluster.RemoteProxy) for each in (board.pins, pins, board.rows, rows)]
    assert stays == ([True, True, False, False] if kind == "dict" else [False, False, True, True])
    with pytest.raises(Exception, match="broken") as raised:
        far.break_down(origexc="quiet")
    assert (raised.type.__name__, raised.value.code) == ("Broken", 3)  # type: ignore[attr-defined]
    assert raised.value.args[1] == {"code": 3}


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_what_goes_by_value(near: Any, kind: str) -> None:
    """Functions and instances of classes that exist only here come back."""

    class Here:
        def __init__(self) -> None:
            self.pins = {"a": [1]}

    near.execblock(f"make_server_class({kind})")

    here = near.call(Here)
    assert isinstance(here, Here)
    assert here.pins["a"][0] == 1
    assert near.call(lambda numbers: lambda: sum(numbers), (1, 2))() == 3


def test_types_that_results_are_made_of(near: Any) -> None:
    """What has no identity that proxies could keep is refused, with the reason."""
    for kind in "tuple", "str", "int", "bytes", "type(None)", "object":
        with pytest.raises(
            TypeError, match="cannot stay on the server: results are made of them; give a subclass"
        ):
            near.execblock(f"make_server_class({kind})", origexc="quiet")
