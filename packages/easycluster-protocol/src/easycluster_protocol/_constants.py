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


#: As ``threadid``: a new server thread for this one call.
SINGLE = _Single()

#: How `SINGLE` is written on the wire; no thread of a script can have this id.
SINGLE_THREAD = -(1 << 63)
