"""Pickling on a server: server objects become numbers, which the client turns into proxies."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from easycluster_protocol._objects.exports import (
    can_any_value_stay,
    find_class_exports,
    name_object,
)
from easycluster_protocol._objects.proxies import context, find_proxy
from easycluster_protocol._pickling import Pickler, PicklingError, Unpickler

from .iterators import is_sequence_iterator, reduce_iterator
from .named_tuples import has_only_fields
from .reductions import Reductions
from .serialize import dumps
from .states import States

if TYPE_CHECKING:
    from easycluster_protocol._objects.exports import Exports, ObjectNumbers, ObjectPickler, ObjectTable
    from easycluster_protocol._types import Args, Buffer, Dumps, Value


def dumps_result(
    value: Value,
    protocol: int,
    objects: ObjectTable,
    pickle_it: Optional[Dumps] = None,
    device_memory: bool = False,
) -> Tuple[bytes, Sequence[Buffer], Sequence[int]]:
    """Pickle a value for the client.

    Args:
        value: the value.
        protocol: the pickle protocol that both ends understand.
        objects: the server's objects.
        pickle_it: the function that makes the pickle. It gets `objects`, and as `listed` the numbers in this
            pickle.
        device_memory: see `libraries`.

    Returns:
        The pickle, the large buffers that travel beside it, and the numbers of the objects in it.
    """
    listed: Dict[int, None] = {}
    context.device_memory = device_memory
    try:
        body, buffers = dumps(
            value, protocol, partial(pickle_it or pickle_objects, objects=objects, listed=listed)
        )
    except BaseException:
        objects.give_back(listed)
        raise
    finally:
        context.device_memory = False
    return body, buffers, list(listed)


class NoObjects:
    """Refuses every server object."""

    @staticmethod
    def add(value: Value, listed: Dict[int, None]) -> int:  # noqa: ARG004 -- as a table of objects does
        raise PicklingError(
            f"a server object of type {type(value).__qualname__} is never copied: only results and exceptions"
            " of calls can name it; send its values"
        )

    @staticmethod
    def get(oid: int) -> Value:
        """Refuse to find an object, as a table does that has none."""
        raise ReferenceError(f"there is no object {oid}")

    @staticmethod
    def describe(exports: Exports) -> Args:
        """Return the whole description; nothing of this kind is ever named."""
        return (exports.descriptor,)

    @staticmethod
    def give_back(listed: Dict[int, None]) -> None:
        """Take no receipts back."""


def pickle_objects(
    value: Value,
    protocol: int,
    buffer_callback: Any = None,
    *,
    objects: ObjectNumbers,
    listed: Dict[int, None],
) -> bytes:
    """Pickle a value in which server objects become numbers; see `dumps_result`."""
    file = BytesIO()
    cls = _ByIdentity if can_any_value_stay() else Pickler
    kwargs = {} if buffer_callback is None else {"buffer_callback": buffer_callback}
    pickler: Any = cls(file, protocol, **kwargs)
    names = Names(objects, listed)
    if cls is Pickler:
        pickler.dispatch_table = ObjectReductions(protocol, names)
    else:
        pickler.names, pickler.states = names, States()
        pickler.dispatch_table = _ReductionsByIdentity(protocol, names, pickler.states)
    pickler.dump(value)
    return file.getvalue()


class Names:
    """Gives the server objects in one pickle their names; see `exports.ObjectPickler`."""

    def __init__(self, objects: ObjectNumbers, listed: Dict[int, None]) -> None:
        self.objects = objects
        self.listed = listed


class ObjectReductions(Reductions):
    """The dispatch table of a server's pickler: server objects become numbers, of whatever class they are.

    Args:
        protocol: the pickle protocol.
        names: gives the objects their names.
    """

    def __init__(self, protocol: int, names: Names) -> None:
        super().__init__(protocol, has_only_fields)
        self._names = names

    def __missing__(self, cls: type) -> Any:
        if find_class_exports(cls) is None:
            if not is_sequence_iterator(cls):
                return super().__missing__(cls)
            reduction = partial(reduce_iterator, self._names)
        else:
            reduction = partial(_reduce_object, self._names)
        self[cls] = reduction
        return reduction


def _reduce_object(names: ObjectPickler, value: Value) -> Any:
    return find_proxy, name_object(names, value)


class _ByIdentity(Pickler):
    """Asks for every value: singletons may be of any type, also one for which the table is not asked."""

    if TYPE_CHECKING:
        names: Names
        states: States

    def persistent_id(self, value: Value) -> Optional[Args]:
        return None if id(value) in self.states else name_object(self.names, value)


class _ReductionsByIdentity(ObjectReductions):
    """The dispatch table beside `_ByIdentity`, which notes the states of objects.

    Args:
        protocol: the pickle protocol.
        names: gives the objects their names.
        states: gets the states.
    """

    def __init__(self, protocol: int, names: Names, states: States) -> None:
        super().__init__(protocol, names)
        self._states = states

    def __missing__(self, cls: type) -> Any:
        reduce, note = super().__missing__(cls), self._states.note

        def reduction(value: Value) -> Any:
            return note(cls, reduce(value))

        self[cls] = reduction
        return reduction


class ProxyUnpickler(Unpickler):
    """Unpickles an answer that holds server objects."""

    def persistent_load(self, named: Args) -> Value:
        """Return the proxy that `_ByIdentity` has named."""
        return find_proxy(*named)


def loads_result(body: Buffer, buffers: Sequence[Buffer]) -> Value:
    """Unpickle a body of `dumps_result`; `proxies.context` of this thread has the connection it is from."""
    kwargs: Any = {"buffers": buffers} if buffers else {}
    return ProxyUnpickler(BytesIO(body), **kwargs).load()
