"""Pickling on a server: server objects become numbers, which the client turns into proxies."""

from __future__ import annotations

import sys
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from easycluster_protocol._objects.exports import can_any_value_stay, name_object
from easycluster_protocol._objects.proxies import find_proxy
from easycluster_protocol._pickling import Pickler, PicklingError, Unpickler

from .serialize import dumps

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import Descriptor, ObjectNumbers, ObjectTable
    from easycluster_protocol._types import Buffer, Dumps, Value


def dumps_result(
    value: Value, protocol: int, objects: ObjectTable, pickle_it: Optional[Dumps] = None
) -> Tuple[bytes, Sequence[Buffer], Sequence[int]]:
    """Pickle a value for the client.

    Args:
        value: the value.
        protocol: the pickle protocol that both ends understand.
        objects: the server's objects.
        pickle_it: the function that makes the pickle. It gets `objects`, and as `listed` the numbers in this
            pickle.

    Returns:
        The pickle, the large buffers that travel beside it, and the numbers of the objects in it.
    """
    listed: Dict[int, None] = {}
    try:
        body, buffers = dumps(value, protocol, partial(pickle_it or _pickle, objects=objects, listed=listed))
    except BaseException:
        objects.give_back(listed)
        raise
    return body, buffers, list(listed)


class _NoObjects:
    """Refuses every server object."""

    @staticmethod
    def add(value: Value, listed: Dict[int, None]) -> int:  # noqa: ARG004 -- as a table of objects does
        raise PicklingError(f"a server object of type {type(value).__qualname__} is never copied")


def dumps_copy(value: Value, protocol: int) -> bytes:
    """Pickle a value that is to be copied with everything in it.

    Raises:
        PicklingError: there is a server object in it.
    """
    return _pickle(value, protocol, objects=_NoObjects, listed={})


def _pickle(
    value: Value,
    protocol: int,
    buffer_callback: Any = None,
    *,
    objects: ObjectNumbers,
    listed: Dict[int, None],
) -> bytes:
    file = BytesIO()
    cls = _ByIdentity if can_any_value_stay() or not _OVERRIDES else _ByType
    pickler = (
        cls(file, protocol)
        if buffer_callback is None
        else cls(file, protocol, buffer_callback=buffer_callback)
    )
    pickler.objects, pickler.listed = objects, listed
    pickler.dump(value)
    return file.getvalue()


class _ByType(Pickler):
    """Asks for every value, except for those of the most common types, which no server object has."""

    if TYPE_CHECKING:
        objects: ObjectNumbers
        listed: Dict[int, None]

    def reducer_override(self, value: Value) -> Any:
        named = name_object(self, value)
        return NotImplemented if named is None else (find_proxy, named)


class _ByIdentity(Pickler):
    """Asks for every value: older Pythons know no other way, and singletons may be of any type."""

    if TYPE_CHECKING:
        objects: ObjectNumbers
        listed: Dict[int, None]

    def persistent_id(self, value: Value) -> Optional[Tuple[int, Descriptor]]:
        return name_object(self, value)


_OVERRIDES = sys.version_info >= (3, 8)


class ProxyUnpickler(Unpickler):
    """Unpickles an answer that holds server objects."""

    def persistent_load(self, named: Tuple[int, Descriptor]) -> Value:
        """Return the proxy that `_ByIdentity` has named."""
        return find_proxy(*named)


def loads_result(body: Buffer, buffers: Sequence[Buffer]) -> Value:
    """Unpickle a body of `dumps_result`; `proxies.context` of this thread has the connection it is from."""
    kwargs: Any = {"buffers": buffers} if buffers else {}
    return ProxyUnpickler(BytesIO(body), **kwargs).load()
