"""Iterators over sequences that stay on the server.

Python pickles an iterator over a sequence as that sequence and a position. Where the sequence stays, the
iterator does: the client would otherwise make an iterator over the proxy, which has no position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easycluster_protocol._objects.exports import find_exports, name_object
from easycluster_protocol._objects.proxies import find_proxy
from easycluster_protocol._objects.proxy_classes import RemoteIterator

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import ObjectPickler

#: Module and name of the classes of iterators that are pickled as a sequence and a position. Those over
#: dictionaries and sets are pickled as a list of the items to come.
_ITERATORS = frozenset(
    (
        ("array", "arrayiterator"),
        ("builtins", "bytearray_iterator"),
        ("builtins", "iterator"),
        ("builtins", "list_iterator"),
        ("builtins", "list_reverseiterator"),
        ("builtins", "reversed"),
        ("builtins", "tuple_iterator"),
        ("collections", "_deque_iterator"),
        ("collections", "_deque_reverse_iterator"),
    )
)


def is_sequence_iterator(cls: type) -> bool:
    """Whether a class is one of Python's own classes of iterators over a sequence."""
    return (str(cls.__module__).lstrip("_"), cls.__name__) in _ITERATORS


def reduce_iterator(names: ObjectPickler, iterator: Any) -> Any:
    """Return how an iterator over a sequence is pickled: it stays if the sequence stays."""
    reduced = iterator.__reduce__()
    if all(find_exports(part) is None for part in reduced[1]):
        return reduced
    return find_proxy, name_object(names, RemoteIterator(iterator))
