"""Refuses ``os.exec*`` in the process that serves a connection: it would put another program in its place."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, Callable


def refuse_exec() -> None:
    """Let ``os.exec*`` raise in this process from now on, but not in those that are forked from it.

    C code can still do it; the guardian then ends the connection.
    """
    getpid, pid = os.getpid, os.getpid()  # names in modules are gone when the interpreter ends

    def check(event: str, arguments: Any) -> None:  # noqa: ARG001 -- as Python calls it
        if event == "os.exec" and getpid() == pid:
            raise PermissionError(
                errno.EPERM,
                "os.exec* would put another program in the place of the process that serves this connection: "
                "use subprocess.run(), or os.fork() first",
            )

    if hasattr(sys, "addaudithook"):
        sys.addaudithook(check)  # novm
        return

    # Before Python 3.8 nothing tells of them in time. All functions of this kind in `os` end in these two.
    def guard(execute: Callable[..., Any]) -> Callable[..., Any]:
        def execute_unless_worker(*arguments: Any) -> Any:
            check("os.exec", arguments)
            return execute(*arguments)

        return execute_unless_worker

    os.execv, os.execve = guard(os.execv), guard(os.execve)
