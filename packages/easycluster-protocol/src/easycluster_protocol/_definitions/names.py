"""Names: what a dotted name stands for, and binding it, in a definitions module or another one."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any, Dict, Optional

from .modules import DEFAULT_NAME, OWN_NAMES, DefinitionsModule, definitions_module

#: What `lazy import` of Python 3.15 leaves in a namespace until the name is used.
_LAZY: Any = getattr(types, "LazyImportType", ())

#: On a server: where the names that its client uses are looked up. A worker serves one connection.
serving: Optional[Names] = None


def _imported(value: Any) -> Any:
    """Return what a name of a namespace stands for: reading the dictionary does not import it."""
    return value.resolve() if isinstance(value, _LAZY) else value


class Names:
    """Resolves dotted names the way clients expect: in a module, then among builtins, then as modules.

    Args:
        module: the module in which they are looked up first.
    """

    #: What errors say besides: where modules were looked for, and what to do about an unknown name.
    place = ""
    advice = ""

    def __init__(self, module: Any) -> None:
        self.look_in(module)

    def look_in(self, module: Any) -> None:
        """Resolve names in this module first."""
        self._module = module
        #: The namespace of the module.
        self.globals: Dict[str, Any] = module.__dict__

    def resolve(self, name: Any, auto_import: bool = True) -> Any:
        """Return the object of a dotted name; what is no text is the object itself.

        Args:
            name: the name.
            auto_import: whether to import modules for it.

        Raises:
            NameError: there is nothing of that name.
            AttributeError: a later part of the name does not exist.
        """
        try:
            value = self.globals[name]
        except (KeyError, TypeError):  # TypeError: a callable that has no hash
            pass
        else:
            return _imported(value) if _LAZY else value
        if not isinstance(name, str):  # the function itself, see `Client.call`
            return name
        first, *rest = name.split(".")
        value = self._first(first, auto_import)
        path = first
        for part in rest:
            path += "." + part
            value = self._attribute(value, part, path, auto_import)
        return value

    def bind(self, name: str, value: Any, auto_import: bool = True) -> None:
        """Bind a dotted name; its last part is set on the object of the parts before, see `resolve`."""
        owner, _, last = name.rpartition(".")
        if owner:
            setattr(self.resolve(owner, auto_import), last, value)
        else:
            self.globals[last] = value

    def _first(self, name: str, auto_import: bool) -> Any:
        if name in self.globals:
            return _imported(self.globals[name])
        if hasattr(builtins, name):
            return getattr(builtins, name)
        if name in OWN_NAMES and isinstance(self._module, DefinitionsModule):
            try:
                return getattr(self._module, name)
            except AttributeError:  # a host without the client's half has not all of them
                pass
        try:
            if name and auto_import:
                __import__(name)
                if isinstance(self._module, DefinitionsModule):
                    # As published EasyCluster does: what a call has imported is there for eval(), too.
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

    def _attribute(self, value: Any, part: str, path: str, auto_import: bool) -> Any:
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


def get_global(name: str, context: Any = None, auto_import: bool = False) -> Any:
    """Return the object of a dotted name, on a client and on a server alike.

    Its first part is looked up in a module, then among the builtins; the others are attributes.

    Args:
        name: the name, as ``"function"`` or ``"Class.method"``.
        context: the module, or its name. None: the definitions module ``easycluster.remote_code``; in remote
            code that which its client uses.
        auto_import: whether to import a module where the name is none of these, as for ``"os.path.join"``.

    Raises:
        NameError: there is nothing of that name.
        AttributeError: a later part of the name does not exist.
        ValueError: there is no module of the name ``context``.
    """
    return _names(name, context).resolve(name, auto_import)


def set_global(name: str, value: Any, context: Any = None) -> None:
    """Bind a dotted name, on a client and on a server alike. Its last part is set on the object of the parts
    before, which are looked up as by `get_global`.

    Args:
        name: the name.
        value: what it shall stand for.
        context: as for `get_global`.

    Raises:
        NameError, AttributeError, ValueError: as by `get_global`.
    """
    _names(name, context).bind(name, value, auto_import=False)


def _names(name: Any, context: Any) -> Names:
    if not isinstance(name, str):
        raise TypeError(f"the name of a global is a text, not {name!r}")
    if context is None and serving is not None:
        return serving
    if context in (None, DEFAULT_NAME):
        return Names(definitions_module(DEFAULT_NAME))
    module = sys.modules.get(context) if isinstance(context, str) else context
    if isinstance(module, types.ModuleType):
        return Names(module)
    raise ValueError(
        f"there is no module {context!r}: context= takes one that was imported or defined, or its name"
    )
