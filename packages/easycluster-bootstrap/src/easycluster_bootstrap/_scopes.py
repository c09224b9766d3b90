"""Reads the scopes of a module: the names that each of them binds, and all places where a name stands.

This follows Python's rules for names, and is more careful than they are: names that are bound in unusual
ways (``global`` and ``nonlocal``, patterns of ``match``, type parameters, ``:=``) count as fixed in the
whole module.
"""

from __future__ import annotations

import ast
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Union

Place = Union[ast.Name, ast.ExceptHandler]
"""A node that has a name. The name of a handler is the token after its ``as``."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

# By name, because older Pythons lack some of these nodes.
_FORMATS = {"JoinedStr", "TemplateStr"}
_FIXES_NAMES = {
    "Global",
    "MatchAs",
    "MatchMapping",
    "MatchStar",
    "NamedExpr",
    "Nonlocal",
    "ParamSpec",
    "TypeAlias",
    "TypeVar",
    "TypeVarTuple",
}

# Built-in functions that find the locals of their caller by name; with an argument, two of them do not.
_SEES_LOCALS = {"dir", "eval", "exec", "locals", "vars"}
_HARMLESS_WITH_ARGUMENTS = {"dir", "vars"}
_ATTRIBUTES_WITH_LOCALS = {"f_locals", "co_cellvars", "co_freevars", "co_varnames"}

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]
_Comprehension = Union[ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp]


class Scope:
    """A module, a class, a function or a comprehension.

    Attributes:
        is_local: whether only code inside it can see its names: it is a function or a comprehension.
        is_class: whether it is a class.
        inner: the scopes directly inside it.
        bound: the names that it binds.
        fixed: the names among them that must stay as they are, and names that it only uses in f-strings.
        places: name -> where it stands, not counting inner scopes.
        shows_locals: whether its code, or code inside it, may look up its variables by name.
    """

    def __init__(self, node: Optional[ast.AST] = None) -> None:
        self.is_class = isinstance(node, ast.ClassDef)
        self.is_local = isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS))
        self.inner: List[Scope] = []
        self.bound: Set[str] = set()
        self.fixed: Set[str] = set()
        self.places: Dict[str, List[Place]] = {}
        self.shows_locals = False

    def bind_fixed(self, name: str) -> None:
        """Add a name that other code may use: of a parameter, an import, a function or a class."""
        self.bound.add(name)
        self.fixed.add(name)

    def find_places(self, name: str) -> Optional[List[Place]]:
        """Return all places where a name of this scope stands, or None if it must stay in one of them."""
        if name in self.fixed:
            return None
        places = list(self.places.get(name, ()))
        for scope in self.inner:
            if scope.is_class and name in scope.places:
                return None  # which may be an attribute of the class
            if scope.is_class or name not in scope.bound:
                found = scope.find_places(name)
                if found is None:
                    return None
                places += found
        return places


class ScopeReader(ast.NodeVisitor):
    """Reads all scopes of a module.

    Attributes:
        module: the outermost scope.
        fixed: names that must stay in every scope.
        shows_locals: whether some code may look up the variables of any function by name.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope()
        self.fixed: Set[str] = set()
        self.shows_locals = False
        self._stack = [self.module]
        self._is_in_format = False
        self.generic_visit(tree)

    def visit(self, node: ast.AST) -> None:
        """Visit a node and all nodes below it."""
        kind = type(node).__name__
        if isinstance(node, _FUNCTIONS):
            self._visit_function(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._visit_comprehension(node)
        elif kind in _FORMATS:
            self._visit_format(node)
        else:
            if kind in _FIXES_NAMES:
                self.fixed.update(_names(node))
            super().visit(node)

    # Names.

    def visit_Name(self, node: ast.Name) -> None:
        """Note a name, and whether it is bound here."""
        self._add_place(node.id, node, is_bound=not isinstance(node.ctx, ast.Load))
        if node.id in _SEES_LOCALS:
            self.shows_locals = True  # it may be called by another name

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Note the name of the exception."""
        if node.name is not None:
            self._add_place(node.name, node, is_bound=True)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        """Note the name of an import."""
        self._stack[-1].bind_fixed((node.asname or node.name).partition(".")[0])
        if node.name in _SEES_LOCALS:
            self.shows_locals = True

    def visit_Call(self, node: ast.Call) -> None:
        """Note a call of a function that sees the locals of its caller."""
        if not (isinstance(node.func, ast.Name) and node.func.id in _SEES_LOCALS):
            self.generic_visit(node)
            return
        self._add_place(node.func.id, node.func, is_bound=False)
        if node.func.id not in _HARMLESS_WITH_ARGUMENTS or not node.args:
            for scope in self._stack:
                scope.shows_locals = True
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note an attribute that leads to the locals of a function, or to their names."""
        is_builtin = isinstance(node.value, ast.Name) and node.value.id in {"builtins", "__builtins__"}
        if node.attr in _ATTRIBUTES_WITH_LOCALS or (is_builtin and node.attr in _SEES_LOCALS):
            self.shows_locals = True
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Note the name of such an attribute, as for `getattr`."""
        if node.value in _ATTRIBUTES_WITH_LOCALS:
            self.shows_locals = True

    def _visit_format(self, node: ast.AST) -> None:
        before, self._is_in_format = self._is_in_format, True
        self.generic_visit(node)
        self._is_in_format = before

    def _add_place(self, name: str, place: Place, is_bound: bool) -> None:
        scope = self._stack[-1]
        scope.places.setdefault(name, []).append(place)
        if is_bound:
            scope.bound.add(name)
        if self._is_in_format:  # names in f-strings are no tokens before Python 3.12
            scope.fixed.add(name)

    # Scopes.

    def _visit_function(self, node: _Function) -> None:
        if isinstance(node, ast.Lambda):
            scope = self._visit_block(node, [node.body])
        else:
            self._stack[-1].bind_fixed(node.name)
            scope = self._visit_block(node, node.body)
        for argument in _arguments(node.args):
            scope.bind_fixed(argument.arg)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Visit a class and its body."""
        self._stack[-1].bind_fixed(node.name)
        self._visit_block(node, node.body)

    def _visit_comprehension(self, node: _Comprehension) -> None:
        first, *more = node.generators
        self.visit(first.iter)  # the only part that belongs to the scope around
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._visit_inside(Scope(node), [first.target, *first.ifs, *more, *results])

    def _visit_block(self, node: ast.AST, body: Sequence[ast.AST]) -> Scope:
        scope, inside = Scope(node), set(body)
        for child in ast.iter_child_nodes(node):
            if child not in inside:
                self.visit(child)
        self._visit_inside(scope, body)
        return scope

    def _visit_inside(self, scope: Scope, nodes: Sequence[ast.AST]) -> None:
        self._stack[-1].inner.append(scope)
        self._stack.append(scope)
        for node in nodes:
            self.visit(node)
        self._stack.pop()


def _arguments(node: ast.arguments) -> Iterator[ast.arg]:
    yield from (*node.posonlyargs, *node.args, *node.kwonlyargs)
    yield from (argument for argument in (node.vararg, node.kwarg) if argument is not None)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds, or declares, in an unusual way."""
    for field in ("name", "names", "rest", "target"):
        value: Any = getattr(node, field, None)
        if isinstance(value, str):
            yield value
        elif isinstance(value, ast.Name):
            yield value.id
        elif value is not None:
            yield from value
