"""The server: ``easycluster.server.spawn_local()``, and running a standalone server from a script."""

from __future__ import annotations

from typing import Optional, Sequence

from easycluster_server._spawn import spawn_local
from easycluster_server._standalone.servers import (
    QuietServer,
    Server,
    run_server,
    server_check_runner,
    stop_server,
)
from easycluster_server._system.detach import detach

__all__ = [
    "QuietServer",
    "Server",
    "detach",
    "run_server",
    "server_check_runner",
    "server_main",
    "spawn_local",
    "stop_server",
]


def server_main(args: Optional[Sequence[str]] = None) -> int:
    """Run the command ``easycluster``.

    Args:
        args: its arguments; None means the arguments of the process.

    Returns:
        Its exit status.
    """
    # Only here: the command is not among the modules that are sent to hosts.
    from easycluster_server._command_line import main

    return main(args)
