"""Makes Python source shorter without moving any statement to another line.

The minifier removes comments, docstrings and other strings that stand alone, annotations, imports from
``__future__``, ``if TYPE_CHECKING:`` blocks (one that has an ``else`` becomes ``if 0:0``), the flag and
the names from typing where nothing uses them any more, and all blanks and indentation that Python can do
without. ``if sys.platform == "win32":`` blocks go as well: hosts that are sent sources are none. Local
variables get names of one letter (see `_rename_locals`). The rest does what it did, except for code that
reads docstrings or the annotations of functions at run time.

Annotations in the body of a class often have an effect (dataclasses, NamedTuple, TypedDict, Protocol). They
are removed from plain classes only: no decorator, no metaclass, and all bases among `object`, Python's own
exceptions and plain classes of the same module; and not in a module that mentions ``__init_subclass__`` or
a way to read annotations. Elsewhere they stay, as strings if that is what ``from __future__ import
annotations`` made of them, so that Python 3.6 need not know the names in them.

`_tokens` reads the tokens and lays them out; this module decides on the syntax tree which ones to remove.
"""

from __future__ import annotations

import ast
import builtins
import re
import unicodedata
from typing import Dict, Iterator, List, Sequence, Union

from easycluster_bootstrap._rename_locals import find_renames
from easycluster_bootstrap._tokens import Edit, Token, TokenIndex, apply_edits, lay_out, read_tokens

_FLAG = "TYPE_CHECKING"
_IS_WINDOWS = ast.dump(ast.parse('sys.platform == "win32"', mode="eval").body)
# Python 3.6 has these features anyway, except for annotations, of which none is left that needs it.
_OLD_FEATURES = {
    "absolute_import",
    "annotations",
    "division",
    "generators",
    "nested_scopes",
    "print_function",
    "unicode_literals",
    "with_statement",
}
_PLAIN_BASES = {"object"}.union(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
_USES_ANNOTATIONS = re.compile("__annotat|__init_subclass__|get_annotations|get_type_hints")
# The letter after a backslash is no part of a word: "\nAny".
_WORD = re.compile(r"\\.|\w+", re.DOTALL)

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def minify(source: str) -> str:
    """Return the source without the parts that have no effect; all statements keep their line numbers.

    Args:
        source: a module that the running Python can parse; line ends may be any.

    Raises:
        SyntaxError: it cannot be parsed; the error has the line.
        ValueError: it holds a lone surrogate or, on older versions, a NUL.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    source = source[source.startswith("\ufeff") :]
    tree = ast.parse(source)
    tokens = read_tokens(source)
    index = TokenIndex(source, tokens)
    edits = _Removals(source, tree, tokens, index).edits
    for place, letter in find_renames(tree).items():
        start = index.start(place)
        if isinstance(place, ast.ExceptHandler):
            start = index.find("as", start) + 1
        tokens[start] = tokens[start]._replace(string=letter)
    return lay_out(apply_edits(tokens, edits))


class _Removals:
    """Finds the parts of a module that have no effect.

    Attributes:
        edits: for `apply_edits`.
    """

    def __init__(self, source: str, tree: ast.Module, tokens: List[Token], index: TokenIndex) -> None:
        self.edits: Dict[int, Edit] = {}
        self._tokens = tokens
        self._at = index
        self._are_strings = any(
            alias.name == "annotations" for node in _imports(tree, "__future__") for alias in node.names
        )
        self._has_flag = _FLAG in source and _is_never_set(tree)
        self._may_be_plain = _USES_ANNOTATIONS.search(source) is None
        self._plain = set(_PLAIN_BASES)
        self._walk(tree.body, filler="")
        self._trim_unused(tree)

    # Statements.

    def _walk(
        self, body: Sequence[ast.stmt], in_function: bool = False, keeps: bool = False, filler: str = "0"
    ) -> None:
        """Remove the parts of a block that have no effect.

        Args:
            body: the block.
            in_function: whether it is in a function, where no name is the module's.
            keeps: whether variables keep their annotations.
            filler: the statement that remains if all of the block goes.
        """
        gone = [node for node in body if self._visit(node, in_function, keeps)]
        if len(gone) < len(body):
            filler = ""
        for node in gone:
            self._drop(node, filler)
            filler = ""

    def _visit(self, node: ast.stmt, in_function: bool, keeps: bool) -> bool:
        """Remove the parts of a statement that have no effect, or return True if the whole has none."""
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if isinstance(node, ast.ImportFrom):
            return _is_from(node, "__future__") and self._trim(node, _needed_features(node))
        if isinstance(node, ast.If) and not in_function and self._is_never_run(node):
            if not node.orelse:
                return True
            self.edits[self._at.start(node.test)] = Edit(self._at.end(node.test), "0")
            for number, each in enumerate(node.body):
                self._drop(each, "" if number else "0")
            self._walk(node.orelse, in_function, keeps)
        elif isinstance(node, ast.AnnAssign):
            self._visit_variable(node, keeps)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._visit_signature(node)
            self._walk(node.body, in_function=True)
        elif isinstance(node, ast.ClassDef):
            self._walk(node.body, in_function, keeps=not self._is_plain(node))
        else:
            for block in _blocks(node):
                self._walk(block, in_function, keeps)
        return False

    def _visit_variable(self, node: ast.AnnAssign, keeps: bool) -> None:
        colon = self._at.find(":", self._at.end(node.target))
        start = colon + 1
        end = self._at.end(node) if node.value is None else self._at.find("=", self._at.end(node.annotation))
        if not keeps and node.value is not None:
            self.edits[colon] = Edit(end, "")
        elif not keeps:
            # The statement makes the name local, which may have an effect.
            self.edits[start] = Edit(end, "0")
        elif self._are_strings:
            line = (token._replace(start=(1, 0), end=(1, 0)) for token in self._tokens[start:end])
            self.edits[start] = Edit(end, repr(lay_out(line)[:-1]))

    def _visit_signature(self, node: _Function) -> None:
        takes = node.args
        for arg in (*takes.posonlyargs, *takes.args, takes.vararg, *takes.kwonlyargs, takes.kwarg):
            if arg is not None and arg.annotation is not None:
                self.edits[self._at.start(arg) + 1] = Edit(self._at.end(arg), "")
        if node.returns is not None:
            start = self._at.start(node.returns)
            while self._tokens[start].string != "->":
                start -= 1
            self.edits[start] = Edit(self._at.find(":", self._at.end(node.returns)), "")

    def _is_plain(self, node: ast.ClassDef) -> bool:
        self._plain.discard(node.name)
        plain = (
            self._may_be_plain
            and not node.decorator_list
            and not node.keywords
            and all(isinstance(base, ast.Name) and base.id in self._plain for base in node.bases)
        )
        if plain and node.col_offset == 0:  # elsewhere the name of a nested class may mean another one
            self._plain.add(node.name)
        return plain

    def _is_never_run(self, node: ast.If) -> bool:
        is_for_types = self._has_flag and isinstance(node.test, ast.Name) and node.test.id == _FLAG
        return (is_for_types or ast.dump(node.test) == _IS_WINDOWS) and self._tokens[
            self._at.start(node)
        ].string == "if"

    def _trim_unused(self, tree: ast.Module) -> None:
        """Remove the flag and names from typing that are no word of the rest, not even in a string."""
        imports = [node for node in _imports(tree, "typing") if node.names[0].name != "*"]
        flags = [node for node in tree.body if self._has_flag and _sets_flag(node)]
        for node in (*imports, *flags):
            self._drop(node, "")
        text = " ".join(token.string for token in apply_edits(self._tokens, self.edits))
        words = set(_WORD.findall(unicodedata.normalize("NFKC", text)))
        for node in imports:
            del self.edits[self._at.start(node)]
            if self._trim(node, [alias for alias in node.names if (alias.asname or alias.name) in words]):
                self._drop(node, "")
        for node in flags:
            if _FLAG in words:
                del self.edits[self._at.start(node)]

    # Edits.

    def _trim(self, node: ast.ImportFrom, kept: List[ast.alias]) -> bool:
        """Remove names from an import, or return True if none is to be kept."""
        if 0 < len(kept) < len(node.names):
            names = ",".join(
                f"{alias.name} as {alias.asname}" if alias.asname else alias.name for alias in kept
            )
            self.edits[self._at.start(node)] = Edit(self._at.end(node), f"from {node.module} import {names}")
        return not kept

    def _drop(self, node: ast.stmt, filler: str) -> None:
        end = self._at.end(node)
        if self._tokens[end].string == ";":
            end += 1
        self.edits[self._at.start(node)] = Edit(end, filler)


def _imports(tree: ast.Module, module: str) -> List[ast.ImportFrom]:
    return [node for node in tree.body if isinstance(node, ast.ImportFrom) and _is_from(node, module)]


def _is_from(node: ast.ImportFrom, module: str) -> bool:
    return node.module == module and node.level == 0


def _needed_features(node: ast.ImportFrom) -> List[ast.alias]:
    return [alias for alias in node.names if alias.name not in _OLD_FEATURES]


def _blocks(node: ast.stmt) -> Iterator[List[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        block: List[ast.stmt] = getattr(node, field, [])
        if block:
            yield block
    for field in ("handlers", "cases"):
        for item in getattr(node, field, []):
            yield item.body


def _is_never_set(tree: ast.Module) -> bool:
    """Return whether TYPE_CHECKING is False wherever it is the module's."""
    harmless: List[ast.AST] = [alias for node in _imports(tree, "typing") for alias in node.names]
    harmless += [target for node in tree.body for target in _set_to_false(node)]
    bindings = [node for node in ast.walk(tree) if _FLAG in _bound(node)]
    return bool(bindings) and all(any(node is other for other in harmless) for node in bindings)


def _sets_flag(node: ast.stmt) -> bool:
    targets = _set_to_false(node)
    return len(targets) == 1 and _FLAG in _bound(targets[0])


def _set_to_false(node: ast.stmt) -> List[ast.expr]:
    """Return the targets of a statement that assigns False."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.value is False:
        return node.targets
    return []


def _bound(node: ast.AST) -> List[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.alias):
        return [node.asname or node.name]
    return []
