"""What masters and listeners need of the system, beside what every process needs."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.descriptors import get_limit, is_out_of_descriptors, make_room
    from .windows.socket_pairs import make_socket_pair
    from .windows.sockets import (
        count_unacknowledged,
        detect_loss,
        is_peer_full,
        limit_receive,
        own_port,
        reset_at_close,
    )
    from .windows.system_calls import read_umask
    from .windows.waiting import LONGEST_WAIT, Wakeup, make_epoll, wait_for_any
    from .windows.worker_starter import SpareInterpreters as WorkerStarter, wait_for_workers
else:
    from .posix.descriptors import get_limit, is_out_of_descriptors, make_room
    from .posix.socket_pairs import make_socket_pair
    from .posix.sockets import (
        count_unacknowledged,
        detect_loss,
        is_peer_full,
        limit_receive,
        own_port,
        reset_at_close,
    )
    from .posix.umask import read_umask
    from .posix.waiting import LONGEST_WAIT, Wakeup, make_epoll, wait_for_any
    from .posix.worker_starter import ForkServer as WorkerStarter, wait_for_workers

__all__ = [
    "LONGEST_WAIT",
    "Wakeup",
    "WorkerStarter",
    "count_unacknowledged",
    "detect_loss",
    "get_limit",
    "is_out_of_descriptors",
    "is_peer_full",
    "limit_receive",
    "make_epoll",
    "make_room",
    "make_socket_pair",
    "own_port",
    "read_umask",
    "reset_at_close",
    "wait_for_any",
    "wait_for_workers",
]
