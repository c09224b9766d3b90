"""Options of sockets."""

from __future__ import annotations

import _socket
import fcntl
import socket
import struct
import sys
import termios
from typing import Optional

#: The request to count what a socket has not sent, and the option of macOS for the same.
_COUNT_UNSENT: Optional[int] = getattr(termios, "TIOCOUTQ", None)
_SO_NWRITE = 0x1024

#: Of Linux's `struct tcp_info`: probes of a full peer without an answer, and segments without one.
_TCP_INFO = struct.Struct("@3xB20xI")

#: The longest single wait, in seconds: the system refuses waits of more than some weeks.
_LONGEST_WAIT = 86400.0

#: How many probes without an answer are the end of an idle connection, and the longest time between two of
#: them that Linux takes, in seconds.
_PROBES = 3
_LONGEST_PROBING = 32767


def own_port(listening: socket.socket) -> None:
    """Let a socket listen on a port although connections of an earlier server there have just ended.

    No other socket can listen on that port meanwhile.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def reset_at_close(connection: _socket.socket, on: bool) -> None:
    """Say whether the peer is told by a reset, at once, when the socket is closed or its process ends."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))


def limit_receive(connection: _socket.socket, seconds: float) -> None:
    """Let a blocking `SocketTransport.receive` of this socket return when nothing has come for so long."""
    seconds = min(seconds, _LONGEST_WAIT)
    whole = int(seconds)
    limit = struct.pack("@ll", whole, int((seconds - whole) * 1e6) or 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def count_unacknowledged(connection: _socket.socket) -> Optional[int]:
    """Return how many bytes were sent on a socket that the peer's system has not acknowledged.

    On a local socket these are the bytes that the peer has not read. None: this system does not say.
    """
    try:
        if _COUNT_UNSENT is not None:
            count: int = struct.unpack("@i", fcntl.ioctl(connection, _COUNT_UNSENT, bytes(4)))[0]
        else:
            count = connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
    except (OSError, ValueError):  # it is closed, or the system cannot do that
        return None
    return count


def is_peer_full(connection: _socket.socket) -> bool:
    """Return whether a TCP peer's system acknowledges all that it has room for, and has room for no more: its
    program does not read. False: it does not, or this system does not say.
    """
    option = getattr(socket, "TCP_INFO", None)
    if option is None or not sys.platform.startswith("linux"):
        return False
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, _TCP_INFO.size)
        unanswered_probes, in_flight = _TCP_INFO.unpack(info)
    except (OSError, struct.error):  # it is no TCP, or closed
        return False
    return bool(not in_flight and unanswered_probes < _PROBES and count_unacknowledged(connection))


def detect_loss(connection: _socket.socket, seconds: float, is_read: bool) -> None:
    """Let the system end a TCP connection whose other machine, or the way there, has been gone for so long.

    A machine that is there, with a program that does not read, is not lost.

    Args:
        connection: the connection.
        seconds: how long; whole seconds count, and two are the least.
        is_read: whether the peer can be relied on to read: then bytes that it does not acknowledge count as
            well, and so do those for which it has no room.
    """
    seconds = min(seconds, _LONGEST_WAIT)
    probe = min(max(1, int(seconds / (2 * _PROBES))), _LONGEST_PROBING)
    first = min(max(1, int(seconds) - _PROBES * probe), _LONGEST_PROBING)
    options = {"TCP_KEEPIDLE": first, "TCP_KEEPALIVE": first, "TCP_KEEPINTVL": probe, "TCP_KEEPCNT": _PROBES}
    if is_read:
        options["TCP_USER_TIMEOUT"] = int(seconds * 1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        number = getattr(socket, name, None)  # systems have some of them
        if number is not None:
            connection.setsockopt(socket.IPPROTO_TCP, number, value)
