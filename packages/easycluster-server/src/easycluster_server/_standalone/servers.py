"""Standalone servers as scripts run them: by class, or by `run_server`."""

from __future__ import annotations

import contextlib
import logging
import signal
from functools import partial
from typing import Dict, Generator, Iterable, List, Optional, Sequence, Type, Union

from easycluster_server._system.error_stream import print_error

from .access import Keys, hide_keys
from .listener import Listener
from .running import run


class Server(Listener):
    """A standalone server that logs connections and calls. Its ``serve()`` lasts until ``stop()`` is called.

    The log goes to standard error, unless the program has configured `logging` otherwise.

    Args:
        port: the TCP port; 0 lets the system choose one, see the attribute ``port``.
        key: the shared key, or a list of keys that are valid at the same time.
        bindaddr: the address or host name to listen on, or a list of them; None means every address of this
            machine.
        allow: networks from which connections are accepted, as "192.0.2.0/24"; none means all.
        verbosity: 0 logs problems only, 1 connections, 2 calls as well; None means the default of the class.
        disable_ipv6: listen on IPv4 only.
        sockets: TCP sockets that listen already, in place of those on ``port`` and ``bindaddr``; the server
            closes them.
        profile: a file; the process of each connection writes there, with a dot and the number of the process
            behind its name, where its main thread spent its time, for `pstats`.
        deny: networks from which no connection is accepted, whatever ``allow`` says.
        max_connections: the most connections at the same time; None means any number.
        run_as: the name of the user as whom connections run; the server itself has to run as root. This is
            the only way to keep the key from the users of the server. None means the server's own user.
        max_memory: the most bytes of memory that each process of a connection may have: of its own writable
            memory (RLIMIT_DATA) on Linux, of address space (RLIMIT_AS) elsewhere. None means any number.
        nice: a number that is added to the niceness of connections; negative ones need root.
        tls: whether connections are encrypted by TLS: ``auto``, those of clients that can do it in the same
            way; ``require``, all, and other clients are refused; ``off``, none.
        tls_cert: the file of the server's certificate, in PEM. Then clients with any Python can use TLS.
        tls_key: the file of its private key; None: it is in the same file.
        tls_ca: the file or folder of the CAs; every client has to show a certificate that one of them signed.
        no_upgrade: refuse clients of another version, instead of running their code.

    Raises:
        KeyFileError: the key is no key.
        ValueError: a network cannot be read, there is no such user, it cannot be done on this system, or the
            arguments for TLS contradict each other.
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


def run_server(  # noqa: PLR0913 -- the published ones, and keywords
    port: int,
    key: Keys,
    bindaddr: Union[str, Sequence[str], None] = None,
    allow: Iterable[str] = (),
    verbosity: int = 0,
    daemonize: bool = False,
    pidfile: Optional[str] = None,
    disable_ipv6: bool = False,
    profile: Optional[str] = None,
    *,
    deny: Iterable[str] = (),
    max_connections: Optional[int] = None,
    run_as: Optional[str] = None,
    max_memory: Optional[int] = None,
    nice: Optional[int] = None,
    tls: str = "auto",
    tls_cert: Optional[str] = None,
    tls_key: Optional[str] = None,
    tls_ca: Optional[str] = None,
    no_upgrade: bool = False,
) -> None:
    """Run a standalone server until `stop_server` is called.

    Args:
        port: the TCP port.
        key: the shared key, or a list of keys, see `Server`.
        bindaddr: the address or host name to listen on, or a list; None means every address of this machine.
        allow: networks from which connections are accepted, as "192.0.2.0/24"; none means all.
        verbosity: 0 logs problems only, 1 connections, 2 calls as well.
        daemonize: run it in a process of the background, which belongs to no terminal and prints nothing, and
            which SIGTERM stops. The calling process ends when that one listens, with status 0 and without its
            exit functions. Windows has none of these.
        pidfile: a file for the number of the server's process, for as long as it runs.
        disable_ipv6: listen on IPv4 only.
        profile: a file for where the server's process spent its time, for `pstats`; beside it, each
            connection's process writes its own, see `Server`.
        deny: networks from which none are accepted, whatever ``allow`` says.
        max_connections: the most connections at the same time, see `Server`.
        run_as: the user as whom connections run, see `Server`.
        max_memory: the most bytes of memory of a connection's process, see `Server`.
        nice: a number that is added to the niceness of connections.
        tls: whether connections are encrypted by TLS: ``auto``, those of clients that can do it in the same
            way; ``require``, all, and other clients are refused; ``off``, none.
        tls_cert: the file of the server's certificate, in PEM. Then clients with any Python can use TLS.
        tls_key: the file of its private key; None: it is in the same file.
        tls_ca: the file or folder of the CAs; every client has to show a certificate that one of them signed.
        no_upgrade: refuse clients of another version, instead of running their code.

    Raises:
        KeyFileError: the key is no key.
        ValueError: a network cannot be read.
        OSError: it cannot listen on the address, the process that ``pidfile`` names runs still, or a file
            cannot be written.
    """
    key = hide_keys(key)
    make = partial(
        QuietServer,
        *(port, key, bindaddr, allow, verbosity, disable_ipv6),
        profile=profile,
        deny=deny,
        max_connections=max_connections,
        run_as=run_as,
        max_memory=max_memory,
        nice=nice,
        tls=tls,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_ca=tls_ca,
        no_upgrade=no_upgrade,
    )
    made: List[Server] = []

    def note(server: Server) -> None:
        made.append(server)
        _running.append(server)
        if daemonize:  # there is no other way to stop it in order
            signal.signal(signal.SIGTERM, lambda number, frame: server.stop())

    try:
        run(make, note, daemonize, pidfile, profile=profile)
    finally:
        _running[:] = [server for server in _running if server not in made]


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
