"""The operations that a client can call on a server beside functions: the methods of object 0, the root."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from types import CodeType
from typing import TYPE_CHECKING, Deque, Iterable, List, Tuple

from easycluster_protocol._definitions import sources
from easycluster_protocol._definitions.exec_return import ExecReturn
from easycluster_protocol._definitions.modules import (
    DEFAULT_NAME,
    Block,
    define_sent,
    definitions_module,
    prepare_for,
)
from easycluster_protocol._definitions.names import NameResolver
from easycluster_protocol.errors import DefinitionError

from .lazy import load, load_server_objects

if TYPE_CHECKING:
    from easycluster_protocol._types import Value
    from easycluster_protocol._values.late_results import KeptResult

#: How many of the latest sources of ``eval`` and ``execblock`` are kept for stack traces.
_MAX_SOURCES = 256


class ServerNames(NameResolver):
    """Resolves the names that a client uses, in a definitions module of its choice first."""

    place = " on the server"
    advice = " (a definition made after connecting needs update_definitions())"

    def __init__(self) -> None:
        super().__init__(definitions_module(DEFAULT_NAME))

    def use(self, definitions: str) -> None:
        """Resolve names in the definitions module of this name first."""
        self.look_in(definitions_module(definitions))


class Operations:
    """The operations of a client that are no calls of functions, by name.

    Args:
        names: resolves names.
    """

    #: The names that a client may call; every other is refused.
    NAMES = frozenset(
        (
            "define",
            "delete_attribute",
            "eval",
            "execblock",
            "get_attribute",
            "get_result",
            "get_value",
            "import_module",
            "import_modules",
            "next_lines",
            "set_attribute",
            "set_value",
            "use_definitions",
        )
    )

    def __init__(self, names: ServerNames) -> None:
        self._names = names
        self._numbers = itertools.count(1)
        self._sources: Deque[str] = deque()

    def _compile(self, source: Value, mode: str) -> CodeType:
        """Compile source whose lines stack traces are to show while it is one of the latest."""
        name = f"{mode}[{next(self._numbers)}]"
        if isinstance(source, str):  # compile() takes other things as well
            sources.keep(name, source)
            self._sources.append(name)
        if len(self._sources) > _MAX_SOURCES:
            sources.forget(self._sources.popleft())
        code: CodeType = compile(source, name, mode, dont_inherit=True)
        prepare_for(code, self._names.globals)
        return code

    def eval(self, expression: str) -> Value:
        """Return the value of an expression in the definitions module."""
        return eval(self._compile(expression, "eval"), self._names.globals)

    def execblock(self, code: str) -> Value:
        """Execute statements in the definitions module; return the value that they pass to `exec_return`."""
        try:
            exec(self._compile(code, "exec"), self._names.globals)
        except ExecReturn as result:
            return result.value
        return None

    def get_value(self, name: str) -> Value:
        """Return the object of a dotted name."""
        return self._names.resolve(name)

    def set_value(self, name: str, value: Value) -> None:
        """Bind a dotted name: its last part is set on the object that the parts before it name."""
        self._names.bind(name, value)

    def get_attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a server object, see `_objects.access`."""
        return load_server_objects().get_attribute(owner, name)

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """Set an attribute of a server object."""
        load_server_objects().set_attribute(owner, name, value)

    def delete_attribute(self, owner: Value, name: str) -> None:
        """Delete an attribute of a server object."""
        load_server_objects().delete_attribute(owner, name)

    def get_result(self, oid: int, by_value: bool) -> KeptResult:
        """Return a result that was kept.

        Args:
            oid: its number among the server objects.
            by_value: whether the client has sent what it takes to send functions and classes by value.
        """
        objects = load_server_objects()
        kept: KeptResult = objects.object_table.get(oid)
        if type(kept) is not objects.KeptResult:
            raise TypeError(f"object {oid} is not a result that was kept")
        if by_value:
            load("cloudpickle")
        return kept

    def next_lines(self, file: Value, count: int) -> Value:
        """Return the next lines of a file, see `_objects.lines`."""
        return load("easycluster_server._objects.lines").next_lines(file, count)

    def import_module(self, name: str) -> None:
        """Import a module, so that its dotted names resolve."""
        __import__(name)
        first = name.partition(".")[0]
        self._names.globals[first] = sys.modules[first]

    def import_modules(self, names: Iterable[str]) -> None:
        """Import several modules, in order."""
        for name in names:
            self.import_module(name)

    def define(self, blocks: Iterable[Tuple[str, int, str]]) -> None:
        """Execute blocks of definitions.

        Args:
            blocks: for each the name of its module, its number there, and its source.

        Raises:
            DefinitionError: one failed; the others were executed as well.
        """
        errors: List[DefinitionError] = []
        for block in blocks:
            try:
                define_sent(Block(*block))
            except DefinitionError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def use_definitions(self, name: str) -> None:
        """Resolve names in the definitions module ``name`` first."""
        self._names.use(name)
