"""The values of a call as bytes: functions and classes by name where the server finds them, else by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easycluster_client._session.session import ClientSession
from easycluster_protocol import _pickling
from easycluster_protocol._objects.proxies import context
from easycluster_protocol._values.reductions import dumps_value
from easycluster_protocol._values.serialize import PLAIN_TYPES, dumps
from easycluster_protocol._wire import messages as m

from . import by_value

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Value

    from .by_value import Packed
    from .response import NonblockingResponse


def pack(values: Args, session: ClientSession, label: str) -> Packed:
    """Pickle the values of a call.

    Args:
        values: the body of the message, at whose end come the function, its args and its kwargs.
        session: the connection on which the call will be sent.
        label: the name of the function, for messages.

    Raises:
        SerializationError: a value cannot be pickled, or the server could not use it.
    """
    *_, name, args, kwargs = values
    if not kwargs and type(name) is str and (not args or PLAIN_TYPES.issuperset(map(type, args))):
        # None of these values goes by value, is a proxy, travels beside the pickle or runs code of its own.
        try:
            return _pickling.dumps(values, session.pickle_protocol), ()
        except MemoryError:  # the general way names the argument
            pass
    before = getattr(context, "references", None)  # pickling may make calls, which come here as well
    context.references = session.references  # proxies among the values compare their connection with it
    try:
        return _pack_any(values, session, label)
    finally:
        context.references = before


def _pack_any(values: Args, session: ClientSession, label: str) -> Packed:
    try:
        body, buffers = dumps(values, session.pickle_protocol, dumps_value)
    except Exception:
        return by_value.pack(values, session, label)
    if by_value.NAME_OF_MAIN in body:
        return by_value.pack(values, session, label)
    return body, buffers


def pack_and_hold(
    kind: int,
    values: Args,
    session: ClientSession,
    response: NonblockingResponse,
    device_memory: bool = False,
) -> Packed:
    """Pickle the values of a call, and let the response hold the proxies among them until it is answered.

    Values in the memory of devices, in either direction, are errors unless ``device_memory`` is true.

    The server looks their objects up when it begins the call. By then a later message might have given back
    the receipts of proxies that nothing holds.
    """
    before = getattr(context, "passed", None)
    passed: list[Value] = []
    context.passed = passed
    try:
        if device_memory:
            context.device_memory = True
            packed = pack(({"device_memory": True}, *values), session, response.call_label)
        else:
            packed = pack(values, session, response.call_label)
    finally:
        context.passed = before
        context.device_memory = False
    if kind == m.INVOKE and values[0]:
        passed.append(session.references.find_live_proxy(values[0]))
    response.call_proxies = passed
    return packed
