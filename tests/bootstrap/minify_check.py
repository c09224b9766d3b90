"""Compares a module with its minified source, by rules of its own: nothing of the minifier is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

_PRESENT = (ast.stmt, ast.expr, ast.excepthandler)


def assert_same(source: str, result: str) -> None:
    """Check that two modules differ in nothing but what the minifier removes, line numbers included.

    Raises:
        AssertionError: they do; it names the place.
    """
    before, after = _Flags().visit(ast.parse(source)), ast.parse(result)
    _compare(before, after, "module", lines=True)
    gone = set(_droppable_names(before)) - set(_droppable_names(after))
    used = {node.id for node in ast.walk(after) if isinstance(node, ast.Name)}
    assert not gone & used, f"still used: {gone & used}"


def _is_never_run(node: ast.If) -> bool:
    return ast.unparse(node.test) in {"TYPE_CHECKING", "sys.platform == 'win32'"}


class _Flags(ast.NodeTransformer):
    """Writes 0 for the test and the body of a block that hosts never run and that has an ``else``."""

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.orelse and _is_never_run(node):
            node.test = ast.copy_location(ast.Constant(0), node.test)
            node.body = [
                ast.copy_location(ast.Expr(ast.copy_location(ast.Constant(0), node.body[0])), node.body[0])
            ]
        return node


def _compare(before: Any, after: Any, path: str, lines: bool) -> None:
    if isinstance(before, list):
        before, after = [list(filter(_counts, nodes)) for nodes in (before, after)]
        assert len(before) == len(after), path
        for index, node in enumerate(before):
            _compare(node, after[index], f"{path}[{index}]", lines)
    elif isinstance(before, ast.AST):
        before, after = _plain(before), _plain(after)
        assert type(before) is type(after), path
        if isinstance(before, _PRESENT) and lines:
            assert before.lineno == after.lineno, f"{path}: line {before.lineno} became {after.lineno}"
        # Nodes inside an f-string have no reliable line before Python 3.12.
        lines = lines and not isinstance(before, ast.JoinedStr)
        for field in before._fields:
            if field not in ("annotation", "returns", "simple"):
                _compare(getattr(before, field, None), getattr(after, field, None), f"{path}.{field}", lines)
    else:
        assert type(before) is type(after), path
        assert repr(before) == repr(after), path


def _counts(node: Any) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return not isinstance(node.value.value, str) and node.value.value != 0
    if isinstance(node, ast.ImportFrom):
        return node.module not in ("__future__", "typing") or node.level > 0
    if isinstance(node, ast.If) and not node.orelse:
        return not _is_never_run(node)
    return not _sets_flag(node)


def _sets_flag(node: Any) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node) == "TYPE_CHECKING = False"


def _plain(node: Any) -> Any:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)
    return node


def _droppable_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            for alias in node.names:
                yield alias.asname or alias.name
        elif _sets_flag(node):
            yield "TYPE_CHECKING"
