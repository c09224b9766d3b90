"""Compares the code that Python compiles from two sources that may differ in the names of local variables.

The compiler knows which variable a name means, so nothing of the minifier is used here. Valid on Python 3.6, so
that each Python can check the modules that it will run.
"""
# ruff: noqa: B905, UP006, UP035 -- Python 3.6 knows neither zip's `strict` nor `list[int]`

import ast
import dis
from itertools import zip_longest
from types import CodeType
from typing import Any, Dict, List, Tuple

# These put the variables of inner functions in the order of their names. So does LOAD_FAST of Python 3.13.
_IN_ORDER_OF_NAMES = {"LOAD_CLOSURE", "MAKE_CELL"}


def assert_renamed(before: str, after: str) -> "Dict[str, str]":
    """Check that two sources do the same on the same lines, whatever their local variables are called.

    Returns:
        Old name -> new name of the variables that have another one.

    Raises:
        AssertionError: there is another difference, or two variables became one, or one became two.
    """
    old, new = (
        compile(_Imports().visit(ast.parse(source)), "<case>", "exec", dont_inherit=True)
        for source in (before, after)
    )
    return dict(_compare(old, new, {}))


class _Imports(ast.NodeTransformer):
    """Removes the imports of the module: Python 3.11 and newer compile calls on names of imports differently."""

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return node if node.module == "__future__" else ast.copy_location(ast.Pass(), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node


def _compare(old: CodeType, new: CodeType, around: "Dict[str, str]") -> "List[Tuple[str, str]]":
    place = f"{old.co_name} on line {old.co_firstlineno}"
    assert _fixed_parts(old) == _fixed_parts(new), place
    pairs = {name: around[name] for name in old.co_freevars if name in around}
    if not _has_inlined(old):
        _compare_instructions(old, new, pairs, place)
    differing = [(name, renamed) for name, renamed in pairs.items() if name != renamed]
    for one, other in zip_longest(_inner(old), _inner(new)):
        differing += _compare(one, other, pairs)
    for name in old.co_freevars:
        if name in pairs:
            assert around.setdefault(name, pairs[name]) == pairs[name], (place, name)
    return differing


def _compare_instructions(old: CodeType, new: CodeType, pairs: "Dict[str, str]", place: str) -> None:
    cells = {*old.co_cellvars, *old.co_freevars}
    for one, other in zip_longest(dis.get_instructions(old), dis.get_instructions(new)):
        assert one is not None, place
        assert other is not None, place
        assert one.opname == other.opname, place
        if one.opname in _IN_ORDER_OF_NAMES or isinstance(one.argval, CodeType):
            continue
        if one.opcode in dis.haslocal or one.opcode in dis.hasfree:
            for name, renamed in zip(_as_tuple(one.argval), _as_tuple(other.argval)):
                if name in cells and "FAST" in one.opname:
                    continue
                assert pairs.setdefault(name, renamed) == renamed, (place, name)
        else:
            assert _constant(one.argval) == _constant(other.argval), place
    assert len(set(pairs.values())) == len(pairs), place


def _has_inlined(code: CodeType) -> bool:
    """Return whether a comprehension runs in the function around it, as in Python 3.12 and newer.

    Its variables may have the names of others, which changes how many there are. Older Pythons check such code.
    """
    return any(each.opname == "LOAD_FAST_AND_CLEAR" for each in dis.get_instructions(code))


def _inner(code: CodeType) -> "List[CodeType]":
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _fixed_parts(code: CodeType) -> "Tuple[Any, ...]":
    """Return the parts that must be equal: names that code elsewhere may use, and the lines."""
    parameters = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    counts = code.co_argcount, code.co_kwonlyargcount, code.co_flags
    lines = [line for _, line in dis.findlinestarts(code)]
    return code.co_name, counts, code.co_varnames[:parameters], code.co_names, code.co_firstlineno, lines


def _constant(value: "Any") -> str:
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _as_tuple(names: "Any") -> "Tuple[str, ...]":
    return names if isinstance(names, tuple) else (names,)
