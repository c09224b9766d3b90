"""Running a server as is wanted: in the background, with a file of its number, with a log, profiled."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Callable, Optional, TypeVar

from easycluster_server._processes.profiling import profile_into
from easycluster_server._system.background import (
    close_input,
    go_to_background,
    held_pid_file,
    open_log,
    redirect_output,
)

from .listener import Listener

ServerType = TypeVar("ServerType", bound=Listener)


def run(
    make_server: Callable[[], ServerType],
    on_ready: Callable[[ServerType], object],
    daemonize: bool = False,
    pidfile: Optional[str] = None,
    log: Optional[str] = None,
    profile: Optional[str] = None,
) -> None:
    """Run a server until it is stopped.

    Args:
        make_server: makes it; called in the process where it is to run.
        on_ready: called with the server when it listens, and still in touch with the terminal.
        daemonize: run it in a process of the background, see `go_to_background`.
        pidfile: a file for the number of its process.
        log: a file for all that would be printed; None lets a process in the background print nothing.
        profile: a file for the profile of its process.

    Raises:
        OSError: it cannot listen, another server has the pidfile, or a file cannot be written.
        Exception: whatever `make_server` raises.
    """
    # The process in the background has another working folder.
    pidfile, log, profile = (path and os.path.abspath(path) for path in (pidfile, log, profile))
    if profile and not os.path.isdir(os.path.dirname(profile)):
        # Writing it fails when the server ends, and all that was measured is lost.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), profile)
    tell = go_to_background() if daemonize else None
    with contextlib.ExitStack() as stack:
        try:
            output = open_log(log or os.devnull) if daemonize or log else -1
            if pidfile:
                stack.enter_context(held_pid_file(pidfile))
            server = make_server()
            on_ready(server)
            if output >= 0:
                redirect_output(output)
        except BaseException as error:
            stack.close()  # before the process that waits for it goes on
            if tell is not None:
                tell(error)
            raise
        if tell is not None:
            close_input()
            tell(None)
        if profile:
            profile_into(profile, server.serve)
        else:
            server.serve()
