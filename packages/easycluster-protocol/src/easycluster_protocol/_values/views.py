"""Views of dictionaries, which Python cannot pickle: a view of an equal dictionary arrives."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    ItemsView,
    Iterable,
    KeysView,
    Mapping,
    Tuple,
    ValuesView,
)

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    Reduction = Callable[[Value], Any]


def make_keys(keys: Iterable[Value]) -> KeysView[Value]:
    """Return a view of the keys of a dictionary that has these."""
    return dict.fromkeys(keys).keys()


def make_values(values: Iterable[Value]) -> ValuesView[Value]:
    """Return a view of the values of a dictionary that has these."""
    return dict(enumerate(values)).values()


def make_items(items: Iterable[Tuple[Value, Value]]) -> ItemsView[Value, Value]:
    """Return a view of the items of a dictionary that has these."""
    return dict(items).items()


def make_mapping(items: Dict[Value, Value]) -> Mapping[Value, Value]:
    """Return a view of a dictionary that cannot be changed through the view."""
    return MappingProxyType(items)


def _reduce_keys(view: Any) -> Any:
    return make_keys, (list(view),)


def _reduce_values(view: Any) -> Any:
    return make_values, (list(view),)


def _reduce_items(view: Any) -> Any:
    return make_items, (list(view),)


def _reduce_mapping(view: Any) -> Any:
    return make_mapping, (dict(view),)


_type_of: Callable[[object], type] = type  # for type checkers, which make no class of `type(value)`

#: Class of views → its reduction.
REDUCTIONS: Dict[type, Reduction] = {MappingProxyType: _reduce_mapping}
_DICTS: Tuple[Dict[Value, Value], ...] = ({}, OrderedDict())
for _dict in _DICTS:
    REDUCTIONS[_type_of(_dict.keys())] = _reduce_keys
    REDUCTIONS[_type_of(_dict.values())] = _reduce_values
    REDUCTIONS[_type_of(_dict.items())] = _reduce_items
