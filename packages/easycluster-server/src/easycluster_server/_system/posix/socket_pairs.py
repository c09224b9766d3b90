"""Pairs of connected sockets, of which one end goes to another process."""

from __future__ import annotations

import os
import socket
from typing import Tuple


def make_socket_pair() -> Tuple[socket.socket, socket.socket]:
    """Return two connected sockets: one for this process, and one for another, which is in blocking mode.

    `socket.setdefaulttimeout` and gevent make all new sockets non-blocking. The other process would inherit
    that, and take an empty socket for a broken one. Each end has a mode of its own.

    Raises:
        OSError: the system is out of descriptors.
    """
    ours, theirs = socket.socketpair()
    try:
        os.set_blocking(theirs.fileno(), True)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return ours, theirs
