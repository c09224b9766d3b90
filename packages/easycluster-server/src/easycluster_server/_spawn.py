"""Local servers: processes on this machine that are reached without a network."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

from easycluster_protocol.errors import ConnectError

from ._io.local_socket import LocalSocket
from ._processes.environment import describe_environment
from ._system import call_at_fork
from ._system.masters import WorkerStarter, make_room, make_socket_pair
from ._system.this_process import occupy_standard_descriptors

if TYPE_CHECKING:
    import socket

    from easycluster_protocol._types import Value

    from ._processes.worker import Config

#: The usual limits of a client's keep-alive, in seconds.
_INTERVAL, _TIMEOUT = 10.0, 60.0

_numbers = itertools.count(1)

#: Starts the local servers of this process.
worker_starter = WorkerStarter()
call_at_fork(worker_starter.abandon)


def start_local(verbosity: int = 0) -> tuple[socket.socket, str]:
    """Start a server process on this machine.

    Args:
        verbosity: 2 logs every call to standard error.

    Returns:
        The connection to it, before the handshake, and its name, ``local:N``.

    Raises:
        ConnectError: the process cannot be started.
    """
    try:
        occupy_standard_descriptors()
        make_room()
        config: Config = {"verbosity": verbosity, **describe_environment()}
        ours, theirs = LocalSocket.make_pair()
        try:
            words = make_socket_pair()
            ours.words = words[0]
            ours.answers = worker_starter.answers_questions
            with words[1]:
                worker_starter.spawn(theirs, config, words)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
    except OSError as error:
        raise ConnectError(f"a local server cannot be started: {error}") from error
    return ours, f"local:{next(_numbers)}"


def spawn_local(
    clientclass: Optional[Callable[..., Any]] = None,
    *,
    verbosity: int = 0,
    keep_alive_interval: Optional[float] = _INTERVAL,
    keep_alive_timeout: Optional[float] = _TIMEOUT,
) -> Any:
    """Start a server process on this machine and return a client that is connected to it.

    The process starts in a clean state: it has the environment variables, the working folder, the umask and
    the module path of this process, and nothing else of it. It ends when the client is closed or this process
    ends.

    Args:
        clientclass: the class of the client, or a function that returns one; None means `Client`. It is
            called with an empty key if it needs an argument.
        verbosity: 2 logs every call to standard error.
        keep_alive_interval: as for `Client`; if it is not the usual one ``clientclass`` is called with it.
        keep_alive_timeout: the same.

    Raises:
        ConnectError: the process cannot be started.
    """
    keep_alive: Dict[str, Optional[float]] = {}
    if keep_alive_interval != _INTERVAL:
        keep_alive["keep_alive_interval"] = keep_alive_interval
    if keep_alive_timeout != _TIMEOUT:
        keep_alive["keep_alive_timeout"] = keep_alive_timeout
    client = (
        _make_client(clientclass, keep_alive)
        if clientclass
        else import_module("easycluster_client").Client(**keep_alive)
    )
    connection, name = start_local(verbosity)
    client.set_socket(connection, name)
    return client


def _make_client(clientclass: Callable[..., Value], keep_alive: Mapping[str, Optional[float]]) -> Value:
    from inspect import signature  # takes a while to import

    try:
        signature(clientclass).bind(**keep_alive)
    except TypeError:
        return clientclass(b"", **keep_alive)
    except ValueError:  # it does not say what it needs
        pass
    return clientclass(**keep_alive)
