"""What a client can do on a server beside calling functions: object 0, the root."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from types import CodeType
from typing import Any, Deque, Iterable, List, Tuple

from easycluster_protocol._definitions import sources
from easycluster_protocol._definitions.exec_return import ExecReturn
from easycluster_protocol._definitions.modules import (
    DEFAULT_NAME,
    Block,
    define_sent,
    definitions_module,
    prepare_for,
)
from easycluster_protocol._definitions.names import Names
from easycluster_protocol.errors import DefinitionError

from .lazy import server_objects

#: So many of the latest sources of ``eval`` and ``execblock`` are kept for stack traces.
_SOURCES_KEPT = 256


class Namespace(Names):
    """Where the names that a client uses are looked up: in a definitions module of its choice."""

    place = " on the server"
    advice = " (a definition made after connecting needs update_definitions())"

    def __init__(self) -> None:
        super().__init__(definitions_module(DEFAULT_NAME))

    def use(self, definitions: str) -> None:
        """Resolve names in the definitions module of this name first."""
        self.look_in(definitions_module(definitions))


class Root:
    """The operations of a client that are no calls of functions, by name."""

    #: What a client may call; everything else is refused.
    OPERATIONS = frozenset(
        (
            "define",
            "delete_attribute",
            "eval",
            "execblock",
            "get_attribute",
            "get_value",
            "import_module",
            "import_modules",
            "set_attribute",
            "set_value",
            "use_definitions",
        )
    )

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._numbers = itertools.count(1)
        self._sources: Deque[str] = deque()

    def _compile(self, source: Any, mode: str) -> CodeType:
        """Compile source whose lines stack traces shall show, while it is one of the latest."""
        name = f"{mode}[{next(self._numbers)}]"
        if isinstance(source, str):  # compile() takes other things as well
            sources.keep(name, source)
            self._sources.append(name)
        if len(self._sources) > _SOURCES_KEPT:
            sources.forget(self._sources.popleft())
        code: CodeType = compile(source, name, mode, dont_inherit=True)
        prepare_for(code, self._namespace.globals)
        return code

    def eval(self, expression: str) -> Any:
        """Return the value of an expression in the definitions module."""
        return eval(self._compile(expression, "eval"), self._namespace.globals)

    def execblock(self, code: str) -> Any:
        """Execute statements in the definitions module; return what they pass to `exec_return`."""
        try:
            exec(self._compile(code, "exec"), self._namespace.globals)
        except ExecReturn as result:
            return result.value
        return None

    def get_value(self, name: str) -> Any:
        """Return the object of a dotted name."""
        return self._namespace.resolve(name)

    def set_value(self, name: str, value: Any) -> None:
        """Bind a dotted name; its last part is set on the object of the parts before."""
        self._namespace.bind(name, value)

    def get_attribute(self, *arguments: Any) -> Any:
        """Return an attribute of a server object, see `_objects.access`."""
        return server_objects().get_attribute(*arguments)

    def set_attribute(self, *arguments: Any) -> None:
        """Set an attribute of a server object."""
        server_objects().set_attribute(*arguments)

    def delete_attribute(self, *arguments: Any) -> None:
        """Delete an attribute of a server object."""
        server_objects().delete_attribute(*arguments)

    def import_module(self, name: str) -> None:
        """Import a module, so that its dotted names resolve."""
        __import__(name)
        first = name.partition(".")[0]
        self._namespace.globals[first] = sys.modules[first]

    def import_modules(self, names: Iterable[str]) -> None:
        """Import several modules, in order."""
        for name in names:
            self.import_module(name)

    def define(self, blocks: Iterable[Tuple[str, int, str]]) -> None:
        """Execute blocks of definitions: the name of its module, the number there and the source of each.

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
        self._namespace.use(name)
