"""Constants that scripts use by name."""

from __future__ import annotations

from ._handshake.hello import VERSION

__all__ = ["DEFAULT_PORT", "SINGLE", "SINGLE_THREAD", "VERSION"]

#: The TCP port of a standalone server.
DEFAULT_PORT = 11999


class _Single:
    """The type of `SINGLE`."""

    def __repr__(self) -> str:
        return "easycluster.SINGLE"

    def __reduce__(self) -> str:
        return "SINGLE"


#: As ``threadid``: run this one call in a new server thread.
SINGLE = _Single()

#: The number that stands for `SINGLE` on the wire; no thread of a script can have it.
SINGLE_THREAD = -(1 << 63)
