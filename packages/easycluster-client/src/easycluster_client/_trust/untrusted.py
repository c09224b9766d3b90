"""What is said of names that a host must not use, and of text that it sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easycluster_protocol._types import Value


def is_class(value: Value, base: type | tuple[type, ...] = object) -> bool:
    """Return whether a value is a class that derives from another one; see `type_of`."""
    return isinstance(value, type) and issubclass(value, base)


def is_instance(value: Value, *classes: type) -> bool:
    """Return whether a value is of one of these classes, or derived ones; see `type_of`."""
    return isinstance(value, classes)


#: The exact class of a value. Type checkers would narrow the value by `type`, to a class of unknown items.
type_of: Callable[[object], Value] = type

#: Control characters, those that change the direction of a text, and halves of characters: a terminal would
#: obey the first two, and print the last as an error.
_INVISIBLE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)

_LONGEST_NAME = 200


class UntrustedName(Exception):
    """A pickle uses a name that its host is not trusted with.

    Args:
        module: the module that the pickle names.
        name: the name in it.

    Attributes:
        module: the module.
        name: the full name, harmless on a terminal.
    """

    def __init__(self, module: str, name: str) -> None:
        full = make_visible(f"{module}.{name}")
        self.module = module
        self.name = full if len(full) <= _LONGEST_NAME else full[:_LONGEST_NAME] + "..."
        super().__init__(self.name)


def make_visible(text: str) -> str:
    """Return a text in which characters that a terminal would obey are written as escape sequences."""
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
