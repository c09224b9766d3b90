"""What is said of values that arrived at one end and could not be rebuilt there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from easycluster_protocol._constants import SINGLE
from easycluster_protocol._values.serialize import describe, explain_loads, name_versions, say_not_rebuilt
from easycluster_protocol.errors import DeserializationError

if TYPE_CHECKING:
    from easycluster_client._session.session import ClientSession
    from easycluster_protocol._types import Value

    from .owner import Calls

#: How long a server may take to say more about an error, in seconds.
PATIENCE = 5.0

_NUMPY_VERSION = "__import__('sys').modules['numpy'].__version__"

_LONGEST_VERSION = 100


class _Asking(threading.local):
    """Whether a thread asks a server for a version."""

    now = False


_asking = _Asking()


def explain_answer(
    label: str, error: BaseException, session: ClientSession, calls: Calls
) -> DeserializationError:
    """Return the error for an answer that cannot be rebuilt here.

    Args:
        label: what the answer holds, without the host: "the result of f".
        error: why it cannot be rebuilt.
        session: the connection that it came from.
        calls: makes calls on that connection.
    """
    return explain_loads(
        f"{label} on {session.peername}", error, _name_sender(describe(error), session, calls)
    )


def _name_sender(reason: str, session: ClientSession, calls: Calls) -> str:
    """Return the version of Python on the host, and of NumPy if that matters."""
    text = f"Python {session.link.agreement.peer.python}"
    # An answer to the question that cannot be rebuilt either is not asked about once more.
    if "numpy" in reason.lower() and not _asking.now:
        options = {"threadid": SINGLE, "origexc": "quiet", "timeout": PATIENCE}
        try:
            _asking.now = True
            version: Value = calls.operation("eval", (_NUMPY_VERSION,), options, session)
            if isinstance(version, str) and len(version) <= _LONGEST_VERSION:
                text += f", NumPy {version}"
        except Exception:  # it has none, is gone, or this thread must not wait
            pass
        finally:
            _asking.now = False
    return text


def complete(error: BaseException, peername: str) -> None:
    """Let the error for an argument that the host could not rebuild name the host and both ends' versions."""
    parts = vars(error)
    if isinstance(error, DeserializationError) and {"label", "reason", "receiver"} <= parts.keys():
        reason = str(parts["reason"])
        sender = name_versions(reason)
        error.args = (
            say_not_rebuilt(str(parts["label"]), f"on {peername}", str(parts["receiver"]), reason, sender),
        )
