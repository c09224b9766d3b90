"""Values to bytes and back. One pickle per call; large buffers travel beside it (PEP 574)."""

from __future__ import annotations

import pickle
import sys
from typing import Any, List, Sequence, Tuple

from ._limits import MAX_TABLE, OUT_OF_BAND
from .errors import DeserializationError, SerializationError

if sys.version_info >= (3, 8):  # novm

    def dumps(value: Any, protocol: int) -> Tuple[bytes, Sequence[Any]]:
        """Pickle ``value``.

        Args:
            value: what to pickle.
            protocol: the pickle protocol that both ends understand.

        Returns:
            The pickle, and the large buffers that travel beside it, each a flat view of bytes.
        """
        if protocol < 5:
            return pickle.dumps(value, protocol), ()
        buffers: List[memoryview] = []

        def keep_in_pickle(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < OUT_OF_BAND or len(buffers) == MAX_TABLE:
                return True
            buffers.append(raw)
            return False

        return pickle.dumps(value, protocol, buffer_callback=keep_in_pickle), buffers

    def loads(body: Any, buffers: Sequence[Any] = ()) -> Any:
        """Unpickle ``body`` with the buffers that came beside it."""
        return pickle.loads(body, buffers=buffers)

else:

    def dumps(value: Any, protocol: int) -> Tuple[bytes, Sequence[Any]]:
        """Pickle ``value``; this Python keeps large buffers in the pickle."""
        return pickle.dumps(value, protocol), ()

    def loads(body: Any, buffers: Sequence[Any] = ()) -> Any:  # noqa: ARG001 -- the same for all
        """Unpickle ``body``; this Python knows no buffers beside it."""
        return pickle.loads(body)


def explain_dumps(what: str, error: BaseException) -> SerializationError:
    """Return the error for a value that could not be pickled.

    Args:
        what: the value's part in the call, as "argument 2 of f".
        error: what pickling raised.
    """
    explained = SerializationError(f"{what} cannot be sent: {describe(error)}")
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
