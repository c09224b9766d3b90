"""Refuses ``os.exec*`` in the process that serves a connection: it would put another program in its place."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any


def refuse_exec() -> None:
    """Let ``os.exec*`` raise in this process from now on, but not in those that are forked from it.

    Before Python 3.8 nothing tells of ``os.exec*`` in time; the guardian then ends the connection.
    """
    if not hasattr(sys, "addaudithook"):
        return
    getpid, pid = os.getpid, os.getpid()  # names in modules are gone when the interpreter ends

    def check(event: str, arguments: Any) -> None:  # noqa: ARG001 -- as Python calls it
        if event == "os.exec" and getpid() == pid:
            raise PermissionError(
                errno.EPERM,
                "os.exec* would put another program in the place of the process that serves this connection: "
                "use subprocess.run(), or os.fork() first",
            )

    sys.addaudithook(check)  # novm
