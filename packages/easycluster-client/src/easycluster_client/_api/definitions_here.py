"""The master's own copy of the definitions, as far as names on a server are concerned."""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING

from easycluster_client._calls.documentation import find_in, list_members as list_members_of
from easycluster_protocol._definitions.modules import INITIAL_NAMES, DefinitionsModule

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


def has_definition(module: str, name: str) -> bool:
    """Return whether this process has a definition of that name in a definitions module.

    Names that every definitions module has from the beginning do not count.
    """
    found = sys.modules.get(module)
    return (
        isinstance(found, DefinitionsModule)
        and name in vars(found)
        and name not in INITIAL_NAMES
        and not name.startswith("__")
    )


def find_definition(module: str, path: str) -> Value:
    """Return the object of a dotted name in this process's copy of a definitions module, None if it has none.

    No code of the script runs: parts of the name are looked up in the dictionaries of modules and classes.
    """
    first, *parts = path.split(".")
    if not has_definition(module, first):
        return None
    return find_in(vars(sys.modules[module])[first], parts)


def list_definitions(module: str) -> list[str]:
    """Return the names that this process has defined in a definitions module."""
    found = sys.modules.get(module)
    return [] if found is None else sorted(name for name in vars(found) if has_definition(module, name))


def list_members(module: str, path: str) -> list[str]:
    """Return the names in a class or module among the definitions, except for special ones."""
    return list_members_of(find_definition(module, path))


def is_own_attribute(owner: object, name: str, base: type) -> bool:
    """Return whether a name is an attribute of an object itself, although its server may have the name too.

    Args:
        owner: the object, whose attribute is being set.
        name: the name.
        base: the class of the library from which the class of ``owner`` derives.

    Returns:
        Whether the object or its class has the attribute, or a method of a class that a script has derived
        from ``base`` is at work on the object.
    """
    classes = type(owner).__mro__
    if name in vars(owner) or any(name in vars(cls) for cls in classes):
        return True
    methods = {name for cls in classes[: classes.index(base)] for name in vars(cls)}
    frame: FrameType | None = sys._getframe(1) if methods else None
    while frame is not None:
        code = frame.f_code
        if code.co_name in methods and code.co_argcount and frame.f_locals.get(code.co_varnames[0]) is owner:
            return True
        frame = frame.f_back
    return False
