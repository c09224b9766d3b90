"""The limit on the open descriptors of this process, for masters with many connections.

The soft limit is usually 1024, because programs that use ``select`` cannot deal with more, and the hard
limit is much higher. It is raised when connections need it, for this process alone: our own children, and
processes that are forked from this one, get the old limit.
"""

from __future__ import annotations

import errno
import os
import resource  # now: when no descriptor is left, nothing can be imported
from typing import List, Optional

from .system_calls import call_at_fork

#: Descriptors that a connection takes while it is being made; most of them are closed then.
_PER_CONNECTION = 3

#: Soft limits that are tried where the hard limit is none, or is refused.
_HIGH_LIMITS = (1 << 20, 1 << 16, 10240)

#: The soft limit before it was raised; None: it was not.
_old_limit: Optional[int] = None


def make_room(connections: int = 1) -> None:
    """Raise the soft limit, unless more than half of it is left free by so many new connections."""
    if _old_limit is None and 2 * (_find_free() + _PER_CONNECTION * connections) > get_limit():
        _raise_limit()


def get_limit() -> int:
    """Return the number of descriptors that this process may have open."""
    limit = os.sysconf("SC_OPEN_MAX")
    return limit if limit >= 0 else 1 << 30


def is_out_of_descriptors(error: Optional[BaseException]) -> bool:
    """Return whether an error, or one of its causes, says that this process may open nothing more."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EMFILE:
            return True
        error = error.__cause__
    return False


def with_old_limit(command: List[str]) -> List[str]:
    """Return a command that runs ``command`` with the soft limit that this process had at first."""
    script = limiting_script()
    return ["/bin/sh", "-c", script + 'exec "$@"', "sh", *command] if script else command


def limiting_script() -> str:
    """Return what a shell runs first so that it has the old soft limit."""
    return "" if _old_limit is None else f"ulimit -S -n {_old_limit}; "


def _find_free() -> int:
    """Return the lowest descriptor that is free."""
    try:
        free = os.open(os.devnull, os.O_RDONLY)
    except OSError as error:
        return get_limit() if error.errno == errno.EMFILE else 0
    os.close(free)
    return free


def _raise_limit() -> None:
    global _old_limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, *_HIGH_LIMITS):
        if limit == resource.RLIM_INFINITY or 0 <= hard < limit or limit <= soft:
            continue
        try:
            _old_limit = soft  # before it is raised: a child that is started just now gets the old one
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
        except (ValueError, OSError):  # the system allows less
            _old_limit = None


def _restore_limit() -> None:
    """Give a forked process the old limit."""
    global _old_limit
    if _old_limit is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (_old_limit, hard))
        _old_limit = None


call_at_fork(_restore_limit)
