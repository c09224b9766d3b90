"""Whether the other end of a connection is gone, while there are bytes of it that nobody reads."""

from __future__ import annotations

import ctypes
import socket
import struct
from ctypes import wintypes
from typing import Any

_CLOSE_WAIT = 8
_ALL_WITH_OWNERS = 5
_INSUFFICIENT_BUFFER = 122
_ERROR_OR_HANG_UP = 0x0001 | 0x0002 | 0x0004
_READABLE = 0x0100

_iphlpapi: Any = ctypes.WinDLL("iphlpapi")
_ws2_32: Any = ctypes.WinDLL("ws2_32")

#: The bytes of a row of the table of connections, and where it has its fields: the state, then the ports and
#: the address of the other end.
_ROWS = {
    socket.AF_INET: (24, 0, 8, 12, 16, 4),
    socket.AF_INET6: (56, 48, 20, 24, 44, 16),
}


class _PollDescriptor(ctypes.Structure):
    """WSAPOLLFD."""

    _fields_ = [("fd", ctypes.c_size_t), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def has_ended(connection: socket.socket) -> bool:
    """Return whether the other end of a connection has closed it, or was lost."""
    polled = _PollDescriptor(fd=connection.fileno(), events=_READABLE)
    _ws2_32.WSAPoll(ctypes.byref(polled), 1, 0)
    if polled.revents & _ERROR_OR_HANG_UP:
        return True
    if not polled.revents & _READABLE:
        return False
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            return True
    except BlockingIOError:  # its bytes have been read meanwhile
        return False
    except ConnectionError:
        return True
    # A polite end behind unread bytes is told by the table of all connections alone, which is expensive.
    return _is_in_close_wait(connection)


def _is_in_close_wait(connection: socket.socket) -> bool:
    try:
        host, port = connection.getpeername()[:2]
        own_port = connection.getsockname()[1]
    except OSError:
        return True
    row_size, state_at, own_port_at, address_at, port_at, address_size = _ROWS[connection.family]
    address = socket.inet_pton(connection.family, host.partition("%")[0])
    table = _read_table(connection.family)
    (count,) = struct.unpack_from("<I", table)
    for start in range(4, 4 + count * row_size, row_size):
        (state,) = struct.unpack_from("<I", table, start + state_at)
        if (
            state == _CLOSE_WAIT
            and struct.unpack_from(">H", table, start + own_port_at) == (own_port,)
            and struct.unpack_from(">H", table, start + port_at) == (port,)
            and table[start + address_at : start + address_at + address_size] == address
        ):
            return True
    return False


def _read_table(family: int) -> bytes:
    """Return the table of the connections of this computer: their number, and a row for each."""
    size = wintypes.DWORD(0)
    failed = _INSUFFICIENT_BUFFER
    while failed == _INSUFFICIENT_BUFFER:  # it may have grown since it said how large it is
        buffer = ctypes.create_string_buffer(max(4, size.value))
        failed = _iphlpapi.GetExtendedTcpTable(
            buffer, ctypes.byref(size), False, int(family), _ALL_WITH_OWNERS, 0
        )
    return bytes(4) if failed else buffer.raw
