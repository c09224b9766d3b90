"""How a worker ended that could not say it, in words: for the log of its server, and for its client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional, Tuple

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed


def describe_end(name: str, status: Optional[int]) -> Tuple[str, str]:
    """Return how a worker ended: for `pack_last_words`, and as a sentence.

    Args:
        name: the worker's, for the sentence.
        status: as `os.waitpid` gives it; None: it still runs, but is a worker no more.
    """
    if status is None:
        text = f"remote code has closed the descriptors of {name}, or replaced its process (os.exec*)"
        return "replaced", text
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        end = f"signal {number}{_name_signal(number)}"
        return end, f"{name} was ended by {end}"
    end = f"status {os.WEXITSTATUS(status)}"
    # It is a worker that could not say so whose descriptors were closed, or remote code has ended it.
    return end, f"{name} has ended itself with {end}{'' if status else ', or lost its descriptors'}"


def name_client(transport: Any) -> str:
    """Return where a connection comes from, for messages, if that is known."""
    try:
        host, port = transport.socket.getpeername()[:2]
        host = f"[{host}]" if ":" in host else host
        return f" for the connection from {host}:{port}"
    except (AttributeError, ValueError, OSError):  # it is not TCP, or has ended
        client = os.environ.get("SSH_CLIENT", "").split()
        return f" for the login from {client[0]}" if client else ""


def _name_signal(number: int) -> str:
    """Return the name of a signal, in brackets, or nothing if it has none."""
    # Other constants are written with a line, as SIG_DFL is.
    names = [
        name
        for name, value in vars(signal).items()
        if value == number and name[:3] == "SIG" and "_" not in name
    ]
    return f" ({min(names)})" if names else ""
