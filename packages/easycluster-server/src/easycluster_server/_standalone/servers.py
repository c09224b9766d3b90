"""Standalone servers as scripts run them: by class, or by `run_server`."""

from __future__ import annotations

import contextlib
import logging
from typing import Dict, Generator, Iterable, List, Optional, Type

from easycluster_protocol.keys import hide
from easycluster_server._system.error_stream import print_error

from .listener import Listener


class Server(Listener):
    """A standalone server that logs connections and calls. Its ``serve()`` lasts until ``stop()`` is called.

    The log goes to standard error, unless the program has configured `logging` otherwise.

    Args:
        port: the TCP port; 0 lets the system choose one, see the attribute ``port``.
        key: the shared key.
        bindaddr: the address or host name to listen on; None means every address of this machine.
        allow: networks from which connections are accepted, as "192.0.2.0/24"; none means all.
        verbosity: 0 logs problems only, 1 connections, 2 calls as well; None means the default of the class.
        disable_ipv6: listen on IPv4 only.

    Raises:
        KeyFileError: the key is no key.
        ValueError: a network cannot be read.
        OSError: it cannot listen on the address.
    """

    default_verbosity = 2

    def serve(self) -> None:
        """Accept connections until `stop` is called. Open connections end with the server."""
        with _logging_to_terminal(self._verbosity):
            super().serve()


class QuietServer(Server):
    """A standalone server that logs problems only."""

    default_verbosity = 0


#: The classes by the names that the command line knows.
CLASSES: Dict[str, Type[Server]] = {"Server": Server, "QuietServer": QuietServer}

_running: List[Server] = []


def run_server(
    port: int,
    key: bytes,
    bindaddr: Optional[str] = None,
    allow: Iterable[str] = (),
    verbosity: int = 0,
    daemonize: bool = False,
    pidfile: Optional[str] = None,
    disable_ipv6: bool = False,
    profile: Optional[str] = None,
) -> None:
    """Run a standalone server until `stop_server` is called.

    Args:
        port: the TCP port.
        key: the shared key.
        bindaddr: the address or host name to listen on; None means every address of this machine.
        allow: networks from which connections are accepted, as "192.0.2.0/24"; none means all.
        verbosity: 0 logs problems only, 1 connections, 2 calls as well.
        daemonize: must not be given: this version cannot do it yet.
        pidfile: must not be given, either.
        disable_ipv6: listen on IPv4 only.
        profile: must not be given, either.

    Raises:
        KeyFileError: the key is no key.
        ValueError: ``daemonize``, ``pidfile`` or ``profile`` is given, or a network cannot be read.
        OSError: it cannot listen on the address.
    """
    key = hide(key)
    for name, value in (("daemonize", daemonize), ("pidfile", pidfile), ("profile", profile)):
        if value:
            raise ValueError(
                f"run_server({name}={value!r}): this version of EasyCluster cannot do that yet; leave it "
                "out, and let the system's own service manager run the script"
            )
    server = QuietServer(port, key, bindaddr, allow, verbosity, disable_ipv6)
    _running.append(server)
    try:
        server.serve()
    finally:
        _running.remove(server)


def stop_server() -> None:
    """Stop the servers that `run_server` runs in this process; from another thread, or a signal handler."""
    for server in _running:
        server.stop()


def server_check_runner() -> None:
    """Do nothing. Scripts of EasyCluster 0.x call this first, because there a local server was the script
    started again; now no script is."""


class _ErrorStreamHandler(logging.Handler):
    """Prints to standard error; a server never waits for the reader of its log, and no line stops it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        print_error(self.format(record) + "\n", patience=0)


@contextlib.contextmanager
def _logging_to_terminal(verbosity: int) -> Generator[None, None, None]:
    """Write the log of servers to standard error, unless the program has chosen another place for it."""
    logger = logging.getLogger("easycluster")
    if logger.hasHandlers():
        yield
        return
    handler = _ErrorStreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s easycluster: %(message)s"))
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if verbosity == 0 else logging.INFO if verbosity <= 2 else logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level_before)
        logger.removeHandler(handler)
