"""Values to bytes and back. One pickle per call; large buffers travel beside it (PEP 574)."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from easycluster_protocol import _pickling
from easycluster_protocol._limits import MAX_TABLE_ENTRIES, OUT_OF_BAND_BYTES
from easycluster_protocol.errors import DeserializationError, SerializationError

if TYPE_CHECKING:
    import pickle

    from easycluster_protocol._types import Buffer, Dumps, Value

#: Values of these types are not server objects, not even singletons, and hold none.
PLAIN_TYPES = frozenset((type(None), bool, int, float, str, bytes))

if sys.version_info >= (3, 8):  # novm

    def dumps(
        value: Value, protocol: int, pickle_it: Dumps = _pickling.dumps
    ) -> Tuple[bytes, Sequence[Buffer]]:
        """Pickle ``value``.

        Args:
            value: the value.
            protocol: the pickle protocol that both ends understand.
            pickle_it: the function that makes the pickle.

        Returns:
            The pickle, and the large buffers that travel beside it.
        """
        if protocol < 5:
            return pickle_it(value, protocol), ()
        buffers: List[memoryview] = []
        return pickle_it(value, protocol, buffer_callback=partial(_keep_in_pickle, buffers)), buffers

    def _keep_in_pickle(large: List[memoryview], buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer stays in the pickle; add it to ``large`` if it does not."""
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_BYTES or len(large) == MAX_TABLE_ENTRIES:
            return True
        large.append(raw)
        return False

    #: Unpickles a body, with the ``buffers`` that came beside it.
    loads = _pickling.loads

else:

    def dumps(
        value: Value, protocol: int, pickle_it: Dumps = _pickling.dumps
    ) -> Tuple[bytes, Sequence[Buffer]]:
        """Pickle ``value``; this Python keeps large buffers in the pickle."""
        return pickle_it(value, protocol), ()

    def loads(body: Buffer, buffers: Sequence[Buffer] = ()) -> Value:  # noqa: ARG001 -- as above
        """Unpickle ``body``; this Python knows no buffers beside it."""
        return _pickling.loads(body)


def find_dumps_by_value() -> Optional[Dumps]:
    """Return the function that pickles classes and functions by value, or None if none have come by value:
    the first of them brings cloudpickle."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return None
    from .by_value import make_dumps_for_result  # most sessions never need it

    return make_dumps_for_result(cloudpickle)


def explain_dumps(label: str, error: BaseException, advice: str = "") -> SerializationError:
    """Return the error for a value that could not be pickled.

    Args:
        label: the value's part in the call, as "argument 2 of f".
        error: the error that pickling raised.
        advice: what the user can do, in brackets.
    """
    explained = SerializationError(f"{label} cannot be sent: {describe(error)}{advice}")
    explained.__cause__ = error
    return explained


def explain_loads(label: str, error: BaseException, sender: str = "") -> DeserializationError:
    """Return the error for a value that arrived but could not be unpickled.

    Args:
        label: the value's part in the call, as "the result of f on h".
        error: the error that unpickling raised.
        sender: the versions of the sender, see `name_versions`.
    """
    reason = describe(error)
    receiver = name_versions(reason)
    explained = DeserializationError(say_not_rebuilt(label, "here", receiver, reason, sender))
    # For the client, which completes the text with the name of the host.
    vars(explained).update(label=label, reason=reason, receiver=receiver)
    explained.__cause__ = error
    return explained


def say_not_rebuilt(label: str, place: str, receiver: str, reason: str, sender: str) -> str:
    """Return the text of the error for a value that could not be unpickled.

    Args:
        label: the value's part in the call.
        place: where it could not.
        receiver: the versions there.
        reason: the error that unpickling raised.
        sender: the versions of the sender, or "".
    """
    text = f"{label} arrived but cannot be rebuilt {place} ({receiver}): {reason}"
    return f"{text} (it was sent by {sender})" if sender else text


def name_versions(reason: str) -> str:
    """Return the version of Python here, and of NumPy if a reason mentions it."""
    text = "Python " + ".".join(map(str, sys.version_info[:3]))
    version = getattr(sys.modules.get("numpy"), "__version__", None)
    return f"{text}, NumPy {version}" if version and "numpy" in reason.lower() else text


def name_function(function: Value) -> str:
    """Return the name of a function, for messages; any callable object has one."""
    return str(getattr(function, "__qualname__", type(function).__name__))


def describe(error: BaseException) -> str:
    """Return type and text of an exception, even if its ``__str__`` fails."""
    text = get_text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def get_text(error: BaseException) -> str:
    """Return the text of an exception, even if its ``__str__`` fails."""
    try:
        return str.__str__(str(error))  # a plain str, even if str(error) is of a class of the user's
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "<its text is not available>"
