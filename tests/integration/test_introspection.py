"""Tools that look at clients, names and proxies ask the host nothing, busy or not."""

from __future__ import annotations

import copy
import doctest
import inspect
import os
import pprint
import pydoc
import rlcompleter
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import easycluster

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = '''
import os

def add(a, b=2):
    """Add two numbers."""
    return a + b

class Board(ServerObject):
    """A board."""
    export_attrs = ("pins", "@auto")
    pins = 3
    gain: float
    @property
    def good(self):
        return self.nope
    def move(self, steps):
        """Move it."""
        return steps

class Closed(ServerObject):
    export_attrs = "shown"
    hidden = shown = 3

class Shown(ServerObject):
    def __repr__(self):
        return "shown"

class Large(ServerObject):
    """Is described once."""
    export_methods = tuple("method_%d" % number for number in range(99))

class Row(ServerObject):
    def __getitem__(self, index):
        return [1, 2][index]
'''

LOOK: dict[str, Callable[[Any], object]] = {
    "pydoc": pydoc.render_doc,
    "getmembers": inspect.getmembers,
    "inspect": lambda value: [look(value) for name, look in vars(inspect).items() if name.startswith("is")],
    "getdoc": inspect.getdoc,
    "doctest": lambda value: doctest.DocTestFinder().find(value, "name"),
    "copy": copy.copy,
    "pprint": pprint.pformat,
    "mock": mock.create_autospec,
    "completion": lambda value: rlcompleter.Completer({"v": value}).complete("v.", 0),
    "dir": dir,
}

IPYTHON = """
import sys
import easycluster
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

easycluster.define_common(sys.argv[1])
with easycluster.server.spawn_local() as host:
    shell = InteractiveShell.instance(colors="NoColor")
    board = host.Board()
    shell.push(dict(host=host, board=board, view=easycluster.options(board, timeout=60)))
    first = host.eval("0", nonblocking=True)
    for value in "host", "host.add", "host.Board", "host.os", "board", "board.move", "view":
        for line in value, value + "?", value + "??", "%pdoc " + value, "[" + value + "]":
            assert shell.run_cell(line).success, line
        for jedi in False, True:
            shell.Completer.use_jedi = jedi
            for text in value + ".", value + "(", value + "['":
                shell.complete(text)
                with provisionalcompleter():
                    list(shell.Completer.completions(text, len(text)))
    last = host.eval("0", nonblocking=True)
    print("what they see:")
    for line in "host.add?", "host.add??", "view?", "board?", "board.move?", "board":
        shell.run_cell(line)
    print("calls in between:", last.request_id - first.request_id - 1)
"""


def look_at(host: Any, look: Callable[[Any], object]) -> int:
    """Let a tool look at all that a script holds; return how many calls that has made."""
    board = host.Board()
    values = [host, host.add, host.Board, host.os.path, board, board.move, host.eval("os")]
    values += [easycluster.options(value, timeout=60) for value in (host, host.add, board)]
    before = host.eval("0", nonblocking=True)
    for value in values:
        try:
            look(value)
        except TypeError:  # what belongs to a connection cannot be copied
            pass
    after = host.eval("0", nonblocking=True)
    made: int = after.request_id - before.request_id - 1
    return made


@pytest.mark.parametrize("tool", LOOK)
def test_tools(near: Any, tool: str, capfd: pytest.CaptureFixture[str]) -> None:
    """They make no call, and nothing is printed."""
    assert look_at(near, LOOK[tool]) == 0
    assert "Exception on" not in capfd.readouterr().err


def test_ipython(run_mark: str, tmp_path: Path) -> None:
    """Neither display, help, sources nor completion make a call; none of them prints a stack trace."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IPYTHON, MORE],
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "PAGER": "cat", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert ended.stdout.endswith("calls in between: 0\n"), ended.stdout
    for shown in (
        "host.add(a, b=2)",
        "Add two numbers.",
        "board.move(steps)",
        "Move it.",
        "<Board (object 1) on",
        "return a + b",
    ):
        assert shown in ended.stdout
    for hidden in "Traceback", "remote_names.py", "class RemoteName", "proxy_methods":
        assert hidden not in ended.stdout.partition("what they see:")[2]


def test_display(far: Any) -> None:
    """The text of a proxy names its class, which the connection may know by a number; an exported one is obeyed."""
    boards = [far.Board() for _ in range(3)]

    for number, board in enumerate(boards, 1):
        assert str(board) == f"<Board (object {number}) on {far.peername}>"
        assert repr(board) == f"<RemoteProxy for oid {number} on {far.peername}>"
    assert str(far.Shown()) == "shown"
    large = [far.Large(), far.Large(), far.Large()]
    assert [str(each).partition(" ")[0] for each in large] == ["<Large"] * 3


def test_help(near: Any) -> None:
    """Docstrings and signatures are those of the definitions."""
    board = near.Board()

    assert (near.add.__doc__, board.__doc__, board.move.__doc__) == (
        "Add two numbers.",
        "A board.",
        "Move it.",
    )
    assert [str(inspect.signature(each)) for each in (near.add, board.move)] == ["(a, b=2)", "(steps)"]
    view = easycluster.options(board, timeout=60)
    assert (view.__doc__, view.move.__doc__) == ("A board.", "Move it.")
    assert str(inspect.signature(view.move)) == "(steps)"


def test_completions(near: Any) -> None:
    """They are what a script uses: attributes that the class defines or annotates, and none of the library's own."""
    board, closed = near.Board(), near.Closed()

    assert [name for name in dir(board) if name[0] != "_"] == ["gain", "good", "move", "pins"]
    assert [name for name in dir(near.Board) if name[0] != "_"] == ["good", "move", "pins"]
    assert [name for name in dir(closed) if name[0] != "_"] == ["shown"]
    assert (board.proxy_object_id, board.raw_call_method("move", (2,))) == (1, 2)


def test_views_have_the_operators_of_the_object(near: Any) -> None:
    """A view can be called, or combined by an operator of classes, only if the object can."""
    view = easycluster.options(near.Board(), timeout=60)

    assert not callable(view)
    assert not hasattr(view, "__or__")


def test_error_inside_of_an_attribute(near: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A property that misses an attribute is at fault, and printed; an attribute that is missing itself is not."""
    board = near.Board()
    assert not hasattr(board, "nothing")
    assert "Exception on" not in capfd.readouterr().err

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        getattr(board, "good")  # noqa: B009 -- the value is not wanted

    assert "return self.nope" in capfd.readouterr().err


def test_iteration_by_items(far: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """The IndexError that ends it is no failure; one that a script causes is printed, as every error."""
    row = far.Row()

    assert (list(row), 2 in row, 3 in row) == ([1, 2], True, False)
    assert list(easycluster.options(row, timeout=60)) == [1, 2]
    assert "IndexError" not in capfd.readouterr().err
    with pytest.raises(IndexError):
        row[2]
    assert "IndexError" in capfd.readouterr().err


def test_names_that_tools_ask_for(near: Any) -> None:
    """They are called by their text, and by a dot if the definitions have them."""
    assert not hasattr(near, "getdoc")
    assert near.call("inspect.getdoc", 5) == int.__doc__

    easycluster.define_common("def getdoc(): return 'mine'")
    near.update_definitions()

    assert near.getdoc() == "mine"
