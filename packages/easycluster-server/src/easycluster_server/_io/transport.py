"""Transports: one interface to the bytes of a connection, which each system moves in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easycluster_server._system import EndOfStream, SocketTransport, wait

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import (
        Inbox,  # noqa: TC004 -- `__all__` is for types only
        Transport,  # noqa: TC004
    )

    __all__ = ["EndOfStream", "Inbox", "SocketTransport", "Transport", "is_connection_error", "wait"]


def is_connection_error(error: OSError) -> bool:
    """Whether an error says that a connection broke.

    Otherwise a signal handler raised it in the middle of a step: many raise `TimeoutError`, which is an
    OSError too.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals is wait.__globals__
