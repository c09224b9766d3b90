"""Named tuples, and struct sequences as `sys.version_info`: where the class cannot be found by its name, an
equal tuple with the same fields arrives.

Python cannot pickle these: `sys.version_info` is the name of the one instance of its class, and the tuples of
`shutil.disk_usage` are of a class that the module keeps under another name. Nor can a receiver rebuild a
tuple of a module that it does not have.
"""

from __future__ import annotations

import copyreg
import sys
from collections import namedtuple
from functools import lru_cache, partial
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    #: Module and name of a class, and the names of its fields.
    Description = Tuple[str, str, Tuple[str, ...]]

    Reduction = Callable[[Value], Any]

#: Attributes of a class that say nothing about its instances; pickling leaves the last.
_NEUTRAL_NAMES = frozenset(
    (
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__orig_bases__",
        "__slotnames__",
    )
)


def choose_for_tuples(cls: Any, protocol: int, may_be_copied: Callable[[type], bool]) -> Optional[Reduction]:
    """Return the reduction for a subclass of `tuple`, None for that of the class itself.

    Args:
        cls: the class.
        protocol: the pickle protocol.
        may_be_copied: see `Reductions`.
    """
    if hasattr(cls, "n_sequence_fields"):
        return partial(_reduce_struct, _describe(cls, _list_struct_fields(cls)))
    fields: Any = getattr(cls, "_fields", None)
    if issubclass(cls, _Copied):
        return partial(_reduce_copied, _describe(cls, fields))
    if _type_of(fields) is not tuple or (has_no_name(cls) and not may_be_copied(cls)):
        return None
    return partial(_reduce_named, _describe(cls, fields), protocol)


_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`


class _Copied:
    """Marks the classes that stand for others which could not be found."""


def is_never_copied(cls: type) -> bool:  # noqa: ARG001 -- see `Reductions`
    """Where a class of named tuples that has no name here travels by value, or not at all."""
    return False


def is_always_copied(cls: type) -> bool:  # noqa: ARG001
    """Where no class can travel by value."""
    return True


def has_only_fields(cls: type) -> bool:
    """Whether a class of named tuples has nothing of its own but the names of its fields, and did not come by
    value: such a class goes back as it is."""
    if cls.__mro__ != (cls, tuple, object):
        return False
    fields: Any = cls
    pattern: Dict[str, Value] = _make_class("", "_", fields._fields).__mro__[1].__dict__
    own = {
        name for name, value in vars(cls).items() if name not in pattern or _is_other(value, pattern[name])
    }
    return own <= _NEUTRAL_NAMES and cls not in _list_classes_by_value()


def _is_other(value: Value, usual: Value) -> bool:
    """Whether a class defines itself a method that `namedtuple` makes."""
    code = getattr(value, "__code__", None)
    return isinstance(usual, FunctionType) and getattr(code, "co_filename", "") != usual.__code__.co_filename


def _list_classes_by_value() -> Any:
    """Return the classes that have come by value, or gone."""
    return getattr(sys.modules.get("cloudpickle.cloudpickle"), "_DYNAMIC_CLASS_TRACKER_BY_CLASS", ())


def has_no_name(cls: type) -> bool:
    """Whether another process cannot find a class by its name."""
    return cls.__module__ == "__main__" or find_class(cls.__module__, cls.__qualname__) is not cls


def find_class(module: str, qualname: str) -> Optional[type]:
    """Return the class of this name in a module that has been imported, or None."""
    found: Value = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def _describe(cls: Any, fields: Tuple[str, ...]) -> Description:
    return cls.__module__, cls.__qualname__, fields


def _list_struct_fields(cls: Any) -> Tuple[str, ...]:
    """Return the names of the fields that count as items; those without a name are the last, and get ""."""
    attributes: Dict[str, Value] = cls.__dict__
    names = [name for name, value in attributes.items() if isinstance(value, MemberDescriptorType)]
    named: int = cls.n_sequence_fields - cls.n_unnamed_fields
    return (*names[:named], *[""] * cls.n_unnamed_fields)


def _reduce_struct(description: Description, value: Any) -> Any:
    _, (items, others) = value.__reduce__()
    return make_struct, (description, tuple(items), others)


def _reduce_copied(description: Description, value: Any) -> Any:
    return make_struct, (description, tuple(value), vars(value))


def _reduce_named(description: Description, protocol: int, value: Any) -> Any:
    reduced = value.__reduce_ex__(protocol)
    if reduced[0] is not getattr(copyreg, "__newobj__"):  # noqa: B009 -- it is not in the stubs
        return reduced  # the class has a way of its own
    return (make_named, (description, reduced[1][1:]), *reduced[2:])


def make_struct(description: Description, items: Tuple[Value, ...], others: Dict[str, Value]) -> Value:
    """Return a struct sequence or named tuple, or an equal tuple with the names of its fields.

    Args:
        description: its class.
        items: its items.
        others: the fields that are no items.
    """
    cls: Any = _import_class(*description[:2])
    try:
        if hasattr(cls, "n_sequence_fields"):
            return cls(items, others)
        if cls is not None:
            return cls.__new__(cls, *items)
    except TypeError:  # that of another version may need more items
        pass
    return make_copied(description, items, others)


def make_copied(description: Description, items: Tuple[Value, ...], others: Dict[str, Value]) -> Value:
    """Return a tuple of a class that is made for it; for the arguments see `make_struct`."""
    made = _make_class(*description)._make(items)
    made.__dict__.update(others)
    return made


def make_named(description: Description, items: Tuple[Value, ...]) -> Value:
    """Return a named tuple, if need be of a class that is made for it.

    Args:
        description: its class.
        items: the arguments of the class.
    """
    cls = _import_class(*description[:2])
    if cls is None:
        return _make_class(*description)._make(items)
    return cls.__new__(cls, *items)


def _import_class(module: str, qualname: str) -> Any:
    """Return the class of tuples with this name, None if there is none here."""
    if module not in sys.modules and not _can_import(module):
        return None
    # Looked for each time: definitions and cells of notebooks may replace the class.
    found: Any = find_class(module, qualname)
    return found if tuple in getattr(found, "__mro__", ()) else None


@lru_cache(maxsize=256)
def _can_import(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


@lru_cache(maxsize=256)
def _make_class(module: str, qualname: str, fields: Tuple[str, ...]) -> Any:
    name = qualname.rpartition(".")[2]
    make: Any = namedtuple  # noqa: PYI024 -- its fields are known only now
    base: type = make(name, fields, rename=True)
    return type(name, (base, _Copied), {"__module__": module, "__qualname__": qualname})
