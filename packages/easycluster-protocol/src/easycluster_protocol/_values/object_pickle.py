"""Pickling on a server: server objects become numbers, which the client turns into proxies."""

from __future__ import annotations

import sys
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple

from easycluster_protocol._objects.exports import asks_for_every_value, name_object
from easycluster_protocol._objects.proxies import find_proxy
from easycluster_protocol._pickling import Pickler, PicklingError, Unpickler

from .serialize import dumps


def dumps_result(
    value: Any, protocol: int, objects: Any, pickle_it: Any = None
) -> Tuple[bytes, Sequence[Any], Sequence[int]]:
    """Pickle what goes to the client.

    Args:
        value: what to pickle.
        protocol: the pickle protocol that both ends understand.
        objects: the server's objects: ``add(value, listed)`` gives one its number and counts a receipt,
            ``give_back(listed)`` takes such receipts back.
        pickle_it: makes a pickle of `value`; its last argument is what to do with server objects.

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
    def add(value: Any, listed: Any) -> int:  # noqa: ARG004 -- as a table of objects does
        raise PicklingError(f"a server object of type {type(value).__qualname__} is never copied")


def dumps_copy(value: Any, protocol: int) -> bytes:
    """Pickle what is to be copied whole.

    Raises:
        PicklingError: there is a server object in it.
    """
    return _pickle(value, protocol, objects=_NoObjects, listed={})


def _pickle(value: Any, protocol: int, buffer_callback: Any = None, *, objects: Any, listed: Any) -> bytes:
    file = BytesIO()
    kind = _ByIdentity if asks_for_every_value() or not _OVERRIDES else _ByType
    pickler: Any = (
        kind(file, protocol)
        if buffer_callback is None
        else kind(file, protocol, buffer_callback=buffer_callback)
    )
    pickler.objects, pickler.listed = objects, listed
    pickler.dump(value)
    return file.getvalue()


class _ByType(Pickler):
    """Asks for every value but those of the most common types, which no class of server objects can be."""

    if TYPE_CHECKING:
        objects: Any
        listed: Any

    def reducer_override(self, value: Any) -> Any:
        named = name_object(self, value)
        return NotImplemented if named is None else (find_proxy, named)


class _ByIdentity(Pickler):
    """Asks for every single value: older Pythons know no other way, and singletons may be of any type."""

    if TYPE_CHECKING:
        objects: Any
        listed: Any

    def persistent_id(self, value: Any) -> Any:
        return name_object(self, value)


_OVERRIDES = sys.version_info >= (3, 8)


class ProxyUnpickler(Unpickler):
    """Unpickles an answer that holds server objects."""

    def persistent_load(self, named: Any) -> Any:
        """Return the proxy that `_ByIdentity` has named."""
        return find_proxy(*named)


def loads_result(body: Any, buffers: Sequence[Any]) -> Any:
    """Unpickle what `dumps_result` has made; the thread's `context` says whose objects it names."""
    kwargs: Any = {"buffers": buffers} if buffers else {}
    return ProxyUnpickler(BytesIO(body), **kwargs).load()
