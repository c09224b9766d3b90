"""What the host of one client is trusted with, as far as unpickling is concerned."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING

from easycluster_protocol._definitions.modules import DefinitionsModule

from .untrusted import type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: How many names, and how many characters of them, the proxies of one client's objects may have: their
#: classes stay in memory.
_MOST_NAMES, _MOST_CHARACTERS = 1 << 16, 1 << 22

#: How many combinations of flags.
_MOST_FLAGS = 1 << 16


class Policy:
    """What the host of one client is trusted with.

    Attributes:
        classes: the classes that the script has named, by module and name.
    """

    def __init__(self) -> None:
        self.classes: dict[tuple[str, str], type] = {}
        self._descriptions: set[Value] = set()
        self._names = self._characters = 0
        self._flags: set[tuple[Value, ...]] = set()

    def trust(self, cls: type) -> None:
        """Trust a class."""
        self.classes[cls.__module__, cls.__qualname__] = cls

    def is_named(self, cls: type) -> bool:
        """Return whether the script has named a class."""
        return self.classes.get((cls.__module__, cls.__qualname__)) is cls

    def count_description(self, description: tuple[Value, ...]) -> None:
        """Count the names that a host gives to proxies.

        Raises:
            ValueError: there are too many.
        """
        if description in self._descriptions:
            return
        names = [name for part in description if type_of(part) is tuple for name in part]
        self._names += len(names) + 1
        self._characters += sum(len(name) for name in names if type_of(name) is str)
        if self._names > _MOST_NAMES or self._characters > _MOST_CHARACTERS:
            raise ValueError("the host has described too many classes of objects on this client")
        self._descriptions.add(description)

    def count_flags(self, cls: type, args: tuple[Value, ...]) -> None:
        """Count the combinations of flags that a host sends: their class keeps each of them.

        Raises:
            ValueError: there are too many, or it is none.
        """
        if len(args) != 1 or type_of(args[0]) is not int:
            raise ValueError(f"no {cls.__name__} is made in this way")
        self._flags.add((cls, *args))
        if len(self._flags) > _MOST_FLAGS:
            raise ValueError("the host has sent too many combinations of flags on this client")


def find_defined(module: Value, name: Value) -> type | None:
    """Return the class of this name that a definitions module of this process defines, or None."""
    found: Value = sys.modules.get(module)
    if not isinstance(found, DefinitionsModule):
        return None
    for part in name.split("."):
        found = vars(found).get(part) if isinstance(found, (DefinitionsModule, type)) else None
    return (
        found
        if isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)
        else None
    )


def is_defined(cls: type) -> bool:
    """Return whether a definitions module defines a class."""
    return find_defined(cls.__module__, cls.__qualname__) is cls


def chooses_constructor(cls: type) -> bool:
    """Return whether a class says itself that a call of it makes its pickled objects again."""
    if issubclass(cls, Enum):
        return True
    own = (base for base in cls.__mro__ if base.__module__ != "builtins")
    return any(name in vars(base) for base in own for name in ("__reduce__", "__reduce_ex__"))
