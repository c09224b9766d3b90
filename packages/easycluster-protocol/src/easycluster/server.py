"""The server: ``easycluster.server.spawn_local()``, and running a standalone server from a script."""

from __future__ import annotations

from easycluster_server._command_line import main as server_main
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
