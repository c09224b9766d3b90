"""Values to bytes and back. One pickle per call; large buffers travel beside it (PEP 574)."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

from easycluster_protocol import _pickling
from easycluster_protocol._limits import MAX_TABLE_ENTRIES, OUT_OF_BAND_BYTES
from easycluster_protocol.errors import DeserializationError, SerializationError

if TYPE_CHECKING:
    import pickle

#: Values of these types neither are server objects, even singletons, nor hold any.
PLAIN = frozenset((type(None), bool, int, float, str, bytes))

if sys.version_info >= (3, 8):  # novm

    def dumps(value: Any, protocol: int, pickle_it: Any = _pickling.dumps) -> Tuple[bytes, Sequence[Any]]:
        """Pickle ``value``.

        Args:
            value: what to pickle.
            protocol: the pickle protocol that both ends understand.
            pickle_it: `pickle.dumps`, or what takes its place.

        Returns:
            The pickle, and the large buffers that travel beside it, each a flat view of bytes.
        """
        if protocol < 5:
            return pickle_it(value, protocol), ()
        buffers: List[memoryview] = []
        return pickle_it(value, protocol, buffer_callback=partial(_keep_in_pickle, buffers)), buffers

    def _keep_in_pickle(large: List[memoryview], buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_BYTES or len(large) == MAX_TABLE_ENTRIES:
            return True
        large.append(raw)
        return False

    #: Unpickles a body, with the ``buffers`` that came beside it.
    loads = _pickling.loads

else:

    def dumps(value: Any, protocol: int, pickle_it: Any = _pickling.dumps) -> Tuple[bytes, Sequence[Any]]:
        """Pickle ``value``; this Python keeps large buffers in the pickle."""
        return pickle_it(value, protocol), ()

    def loads(body: Any, buffers: Sequence[Any] = ()) -> Any:  # noqa: ARG001 -- the same for all
        """Unpickle ``body``; this Python knows no buffers beside it."""
        return _pickling.loads(body)


def dumps_by_value() -> Any:
    """Return what pickles classes and functions by value that came here by value, else None: it came
    with them."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return None
    # Most sessions never need it; over ssh it comes behind the first call.
    from .by_value import dumps_for_result

    return dumps_for_result(cloudpickle)


def explain_dumps(what: str, error: BaseException, advice: str = "") -> SerializationError:
    """Return the error for a value that could not be pickled.

    Args:
        what: the value's part in the call, as "argument 2 of f".
        error: what pickling raised.
        advice: what can be done about it, in brackets.
    """
    explained = SerializationError(f"{what} cannot be sent: {describe(error)}{advice}")
    explained.__cause__ = error
    return explained


def explain_loads(what: str, error: BaseException) -> DeserializationError:
    """Return the error for a value that arrived but could not be unpickled."""
    explained = DeserializationError(f"{what} arrived but cannot be rebuilt here: {describe(error)}")
    explained.__cause__ = error
    return explained


def describe(error: BaseException) -> str:
    """Return type and text of an exception, also of one whose ``__str__`` fails."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(error: BaseException) -> str:
    """Return the text of an exception, also of one whose ``__str__`` fails."""
    try:
        return str.__str__(str(error))  # a plain str even where str(error) is of a class of the user's
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "<its text cannot be had>"
