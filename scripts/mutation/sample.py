"""Chooses mutants: what Cosmic Ray can change in a folder, without the places where no test could notice it."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import parso.python.tree
import parso.tree
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator, operator_names
from coverage import Coverage

Place = tuple[int, int]

#: Decorators that tell something to type checkers and readers only.
TYPING_DECORATORS = {"abstractmethod", "final", "overload", "runtime_checkable"}
#: The first four differ only for values whose identity Python does not promise, the others only for flags that overlap.
SAME = {
    ("Eq", "Is"),
    ("Is", "Eq"),
    ("NotEq", "IsNot"),
    ("IsNot", "NotEq"),
    ("BitOr", "Add"),
    ("BitOr", "BitXor"),
}

#: `not` that is put before a condition and `not` that is removed from one are the same change.
KINDS = {"AddNot": "ReplaceUnaryOperator"}


class Mutant(NamedTuple):
    """One change of one file."""

    path: Path
    """Of the file, from the root of the checkout."""

    operator: str
    """How Cosmic Ray calls the kind of change."""

    occurrence: int
    """How many changes of that kind are possible before it in the file."""

    place: Place
    lines: range
    """The lines of the statement that is changed; of an `if` or `def` those of its head."""


class RemoveStatement(Operator):
    """Puts `pass` in the place of a statement that acts: a call, an assignment to a part of an object, a raise.

    Cosmic Ray has no such operator, and without it nothing shows whether the tests need a wake-up or a clean-up.
    """

    def mutation_positions(self, node: parso.tree.NodeOrLeaf) -> Iterator[tuple[Place, Place]]:
        """Yield the place of the statement, if this is one."""
        if node.type == "simple_stmt" and self._acts(node.children[0]):
            yield node.start_pos, node.children[0].end_pos

    def mutate(self, node: parso.tree.BaseNode, index: int) -> parso.tree.BaseNode:
        """Put `pass` there."""
        first = node.get_first_leaf()
        node.children[0] = parso.python.tree.Keyword("pass", first.start_pos, first.prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Show what it does."""
        return (Example("work()", "pass"), Example("a.b = 1", "pass"))

    def _acts(self, statement: parso.tree.NodeOrLeaf) -> bool:
        if statement.type in {"del_stmt", "raise_stmt", "return_stmt"}:
            return True
        if statement.type in {"atom_expr", "power", "await_expr"}:
            return "(" in statement.get_code()
        if statement.type != "expr_stmt":
            return False
        target, sign = statement.children[0], statement.children[1]
        return target.type in {"atom_expr", "power"} or getattr(sign, "value", "=") != "="


@functools.cache
def source_of(path: Path) -> str:
    """Return the text of a file as it was when it was asked for first: somebody may work on it during the run."""
    return path.read_text(encoding="utf-8")


def population(root: Path, folder: str, coverage: Coverage, seed: int) -> list[Mutant]:
    """Return one mutant for each place and kind of change in a folder, in the order of the sample.

    The order depends on the seed and on the lines that change, not on where these stand in their files: a
    change elsewhere leaves the rest of the sample as it is.
    """
    ranked: list[tuple[str, Mutant]] = []
    for path in sorted((root / folder).rglob("*.py")):
        lines = source_of(path).splitlines()
        best: dict[tuple[Place, str], tuple[str, Mutant]] = {}
        seen: Counter[str] = Counter()
        for mutant in _mutants(root, path, coverage):
            line = lines[mutant.place[0] - 1]
            column = mutant.place[1] - (len(line) - len(line.lstrip()))
            text = f"{seed} {mutant.path} {mutant.operator} {column} {line.strip()}"
            seen[text] += 1
            rank = hashlib.sha256(f"{text} {seen[text]}".encode()).hexdigest()
            key = (mutant.place, KINDS.get(kind := mutant.operator.partition("_")[0], kind))
            best[key] = min(best.get(key, (rank, mutant)), (rank, mutant))
        ranked += best.values()
    return [mutant for _, mutant in sorted(ranked)]


def change(source: str, mutant: Mutant) -> str | None:
    """Return the text of a file with the change; None if it is none, or no longer Python."""
    operator = dict(_operators())[mutant.operator]
    try:
        changed = mutate_code(source, operator, mutant.occurrence)
        if changed is None or ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:  # `**names` in a call or dictionary is an operator to Cosmic Ray
        return None
    except AttributeError:  # and in `except (a.Error, b.Error)` it looks for names without a dot
        return None
    return changed


def difference(before: str, after: str) -> str:
    """Return the lines that differ, without their numbers."""
    old, new = before.split("\n"), after.split("\n")
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return "\n".join([*(f"- {line.strip()}" for line in old if line), *(f"+ {line.strip()}" for line in new)])


def _mutants(root: Path, path: Path, coverage: Coverage) -> Iterator[Mutant]:
    """Yield each mutant of a file."""
    source = source_of(path)
    tree = ast.parse(source)
    _, _, excluded, _, _ = coverage.analysis2(str(path))
    unnoticed = list(_unnoticed(tree))
    nodes = [node for node in ast_nodes(get_ast(source)) if not _is_decorator_for_typing(node)]
    for name, operator in _operators():
        places = (place for node in nodes for place, _ in operator.mutation_positions(node))
        for occurrence, place in enumerate(places):
            if place[0] not in excluded and not any(first <= place < last for first, last in unnoticed):
                lines = _statement(tree, place[0])
                yield Mutant(path.relative_to(root), name, occurrence, place, lines)


@functools.cache
def _operators() -> list[tuple[str, Operator]]:
    found: list[tuple[str, Operator]] = [("RemoveStatement", RemoveStatement())]
    for full_name in operator_names():
        kind = get_operator(full_name)
        name = full_name.rpartition("/")[2]
        if not kind.arguments() and tuple(name.split("_")[1:]) not in SAME:
            found.append((name, kind()))
    return found


def _unnoticed(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    """Yield where a change shows in no behaviour, or not on the Python that runs here."""
    for node in ast.walk(tree):
        found: list[ast.AST | None] = []
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
            found.append(node)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
            if isinstance(last := node.body[-1], ast.Return) and (
                last.value is None or ast.unparse(last.value) == "None"
            ):
                found.append(last)
        elif _makes_no_difference(node):
            found.append(node)
        for each in found:
            if each is not None:
                yield (each.lineno, each.col_offset), (each.end_lineno, each.end_col_offset)  # type: ignore[attr-defined]


def _makes_no_difference(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return "sys.version_info" in ast.unparse(node)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Assert)


def _is_decorator_for_typing(node: parso.tree.NodeOrLeaf) -> bool:
    if not isinstance(node, parso.python.tree.Decorator):
        return False
    return node.get_code().strip().lstrip("@").rpartition(".")[2] in TYPING_DECORATORS


def _statement(tree: ast.Module, line: int) -> range:
    """Return the lines of the innermost statement there, or of the head of one with a body."""
    found = range(line, line + 1)
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or node.end_lineno is None:
            continue
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        last = node.end_lineno
        if body := getattr(node, "body", None):
            last = max(node.lineno, body[0].lineno - 1)
        if first <= line <= last:
            found = range(first, last + 1)
    return found
