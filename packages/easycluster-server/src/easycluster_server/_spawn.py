"""Local servers: processes on this machine that are reached without a network."""

from __future__ import annotations

import itertools
import socket
from importlib import import_module
from typing import Any, Optional

from ._processes.fork_server import fork_server, master_environment
from ._system.this_process import occupy_standard_descriptors

_numbers = itertools.count(1)


def start_local(verbosity: int = 0) -> tuple[socket.socket, str]:
    """Start a server process on this machine.

    Args:
        verbosity: 2 logs every call to standard error.

    Returns:
        The connection to it, handshake still to come, and its name, ``local:N``.

    Raises:
        OSError: the process cannot be started.
    """
    occupy_standard_descriptors()
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            fork_server.spawn(theirs, {"verbosity": verbosity, **master_environment()})
    except BaseException:
        ours.close()
        raise
    return ours, f"local:{next(_numbers)}"


def spawn_local(clientclass: Optional[Any] = None, *, verbosity: int = 0) -> Any:
    """Start a server process on this machine and return a client that is connected to it.

    The process starts with a clean environment: the environment variables, working folder, umask
    and module path of this process, and nothing else of it. It ends when the client is closed or
    this process ends.

    Args:
        clientclass: the class of the client, or a function that returns one; `Client` when None. It is called
            with a blank key if it needs an argument.
        verbosity: 2 logs every call to standard error.

    Raises:
        OSError: the process cannot be started.
    """
    client = _make_client(clientclass) if clientclass else import_module("easycluster_client").Client()
    connection, name = start_local(verbosity)
    client.set_socket(connection, name)
    return client


def _make_client(clientclass: Any) -> Any:
    from inspect import signature  # takes a while to import

    try:
        signature(clientclass).bind()
    except TypeError:
        return clientclass(b"")
    except ValueError:  # it does not say what it needs
        pass
    return clientclass()
