"""Dotted names: finding their objects and binding them, in a definitions module or another one."""

from __future__ import annotations

import builtins
import sys
import types
from typing import TYPE_CHECKING, Any, Optional, Union

from .modules import DEFAULT_NAME, INITIAL_NAMES, DefinitionsModule, definitions_module

if TYPE_CHECKING:
    from types import ModuleType

    from easycluster_protocol._types import Namespace, Value

#: The type of the objects that `lazy import` of Python 3.15 puts into a namespace until a name is used.
_LAZY_TYPES: Any = getattr(types, "LazyImportType", ())

#: On a server: resolves the names that its client uses. A worker serves one connection.
server_names: Optional[NameResolver] = None


def _resolve_lazy(value: Value) -> Value:
    """Return the object of a name in a namespace; a lazy import happens only now."""
    return value.resolve() if isinstance(value, _LAZY_TYPES) else value


class NameResolver:
    """Resolves dotted names in the order that clients expect: in a module, among builtins, as modules.

    Args:
        module: the module in which names are looked up first.
    """

    #: Parts of error messages: where modules were looked for, and what to do about an unknown name.
    place = ""
    advice = ""

    def __init__(self, module: ModuleType) -> None:
        self.look_in(module)

    def look_in(self, module: ModuleType) -> None:
        """Look names up in this module first."""
        self._module = module
        #: The namespace of the module.
        self.globals: Namespace = module.__dict__

    def resolve(self, name: Value, auto_import: bool = True) -> Value:
        """Return the object of a dotted name. If ``name`` is not a text, it is the object itself.

        Args:
            name: the name.
            auto_import: whether to import modules for it.

        Raises:
            NameError: the first part of the name does not exist.
            AttributeError: a later part does not exist.
        """
        try:
            value = self.globals[name]
        except (KeyError, TypeError):  # TypeError: a callable that has no hash
            pass
        else:
            return _resolve_lazy(value) if _LAZY_TYPES else value
        if not isinstance(name, str):  # the function itself, see `Client.call`
            return name
        first, *rest = name.split(".")
        value = self._resolve_first(first, auto_import)
        path = first
        for part in rest:
            path += "." + part
            value = self._resolve_attribute(value, part, path, auto_import)
        return value

    def bind(self, name: str, value: Value, auto_import: bool = True) -> None:
        """Bind a dotted name: its last part is set on the object of the parts before it, see `resolve`."""
        owner, _, last = name.rpartition(".")
        if owner:
            setattr(self.resolve(owner, auto_import), last, value)
        else:
            self.globals[last] = value

    def _resolve_first(self, name: str, auto_import: bool) -> Value:
        if name in self.globals:
            return _resolve_lazy(self.globals[name])
        if hasattr(builtins, name):
            return getattr(builtins, name)
        if name in INITIAL_NAMES and isinstance(self._module, DefinitionsModule):
            try:
                return getattr(self._module, name)
            except AttributeError:  # a host without easycluster-client does not have all of them
                pass
        try:
            if name and auto_import:
                __import__(name)
                if isinstance(self._module, DefinitionsModule):
                    # As published EasyCluster does: eval() finds the modules that calls have imported.
                    self.globals[name] = sys.modules[name]
                return sys.modules[name]
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
        last = (
            f", nor a module{self.place}" if auto_import else " (modules are looked for by auto_import=True)"
        )
        where = f"in {self._module.__name__}{self.advice}"
        raise NameError(f"name {name!r} is not defined: it is neither {where}, nor a builtin{last}")

    def _resolve_attribute(self, value: Value, part: str, path: str, auto_import: bool) -> Value:
        try:
            return getattr(value, part)
        except AttributeError:
            if not auto_import or sys.modules.get(path.rpartition(".")[0]) is not value:
                raise
        try:
            __import__(path)
            return sys.modules[path]
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
            raise AttributeError(
                f"module {path.rpartition('.')[0]!r}{self.place} has no attribute {part!r}"
            ) from None


def get_global(
    name: str, context: Union[types.ModuleType, str, None] = None, auto_import: bool = False
) -> Any:
    """Return the object of a dotted name, on a client and on a server alike.

    Its first part is looked up in a module, then among the builtins; the others are attributes.

    Args:
        name: the name, as ``"function"`` or ``"Class.method"``.
        context: the module, or its name. None: the definitions module ``easycluster.remote_code``; in remote
            code the one that its client uses.
        auto_import: whether to import a module if the first part is found in neither, as for
            ``"os.path.join"``.

    Raises:
        NameError: the first part of the name does not exist.
        AttributeError: a later part does not exist.
        ValueError: there is no module of the name ``context``.
    """
    return _find_resolver(name, context).resolve(name, auto_import)


def set_global(name: str, value: Any, context: Union[types.ModuleType, str, None] = None) -> None:
    """Bind a dotted name, on a client and on a server alike.

    Its last part is set on the object of the parts before it, which are looked up as by `get_global`.

    Args:
        name: the name.
        value: its new object.
        context: as for `get_global`.

    Raises:
        NameError, AttributeError, ValueError: as by `get_global`.
    """
    _find_resolver(name, context).bind(name, value, auto_import=False)


def _find_resolver(name: Value, context: Value) -> NameResolver:
    if not isinstance(name, str):
        raise TypeError(f"the name of a global is a text, not {name!r}")
    if context is None and server_names is not None:
        return server_names
    if context in (None, DEFAULT_NAME):
        return NameResolver(definitions_module(DEFAULT_NAME))
    module = sys.modules.get(context) if isinstance(context, str) else context
    if isinstance(module, types.ModuleType):
        return NameResolver(module)
    raise ValueError(
        f"there is no module {context!r}: context= takes one that was imported or defined, or its name"
    )
