from __future__ import annotations

import ast
import symtable
import sys

import pytest

from bootstrap.obstacles import OBSTACLES
from easycluster_bootstrap._scopes import Scope, ScopeReader


def read(source: str) -> ScopeReader:
    """Reads the scopes of a source."""
    return ScopeReader(ast.parse(source))


def flatten(scope: Scope) -> list[Scope]:
    """Lists a scope and all scopes inside it."""
    return [scope, *(each for inner in scope.inner for each in flatten(inner))]


def flatten_table(table: symtable.SymbolTable) -> list[symtable.SymbolTable]:
    """Lists a symbol table of Python's own and all tables inside it."""
    return [table, *(each for inner in table.get_children() for each in flatten_table(inner))]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python's own tables leave comprehensions out")
@pytest.mark.parametrize("source", OBSTACLES.values(), ids=OBSTACLES)
def test_scopes_are_those_of_python(source: str) -> None:
    """There is a scope for each of Python's own symbol tables, and it binds the names that are local there."""
    source = source.lstrip("\ufeff")
    reader = read(source)
    expected = [
        {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_local() and not symbol.get_name().startswith(".")
        }
        - reader.fixed
        for table in flatten_table(symtable.symtable(source, "<case>", "exec"))
    ]

    found = [scope.bound - reader.fixed for scope in flatten(reader.module)]

    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_places() -> None:
    """A name of a function stands in the functions inside it, too, unless they have one of their own."""
    function = read(
        "def f():\n x = 1\n def g(): return x\n def h(x): return x\n class A:\n  def g(self): x\n"
    ).module.inner[0]

    places = function.find_places("x")

    assert places is not None
    assert [place.lineno for place in places] == [2, 3, 6]
    assert function.find_places("g") is None


def test_place_of_a_handler() -> None:
    """The name of an exception stands in its handler."""
    (function,) = read("def f():\n try: 1\n except A as x: x\n").module.inner

    places = function.find_places("x")

    assert places is not None
    assert [type(place) for place in places] == [ast.ExceptHandler, ast.Name]


@pytest.mark.parametrize(
    "use", ["locals()", "eval(x)", "exec(x, y)", "vars()", "dir()", "[eval(y) for y in x]"]
)
def test_functions_that_show_their_variables(use: str) -> None:
    """A function that may look its variables up by name is marked, and so are the functions around it, but no other."""
    around, other = read(f"def f():\n def g(): {use}\n def h(): 0\ndef f2(): 0\n").module.inner

    assert around.shows_locals
    assert [inner.shows_locals for inner in around.inner] == [True, False]
    assert not other.shows_locals


@pytest.mark.parametrize(
    "use",
    [
        "see = locals",
        "call(exec)",
        "builtins.eval",
        "f.f_locals",
        "'f_locals'",
        "from builtins import vars as see",
    ],
)
def test_modules_that_show_their_variables(use: str) -> None:
    """Where any function may look up variables of others by name, the module is marked."""
    assert read(use).shows_locals


@pytest.mark.parametrize("use", ["vars(x)", "dir(x)", "x.locals", "eval_all(x)", "'eval'"])
def test_harmless_uses(use: str) -> None:
    """Uses that cannot see variables of a function are not marked."""
    reader = read(f"def f(): {use}")

    assert not reader.shows_locals
    assert not reader.module.inner[0].shows_locals
