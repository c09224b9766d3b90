"""``easycluster -S``: serving."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
from typing import Callable, List, Optional

from easycluster_protocol._constants import VERSION
from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import Key, check_key, decode_key, read_key_file
from easycluster_server._standalone.access import Access, Keys
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.listener import Listener
from easycluster_server._standalone.running import run
from easycluster_server._standalone.servers import CLASSES, Server
from easycluster_server._standalone.service_manager import ServiceManager
from easycluster_server._system.confinement import is_all_powerful, reload_signals
from easycluster_server._system.error_stream import print_error, print_lines
from easycluster_server._system.key_files import require_private

from .errors import UsageError

log = logging.getLogger("easycluster.server")

#: Number of an error that a server meets → what to do.
_ADVICE = {
    errno.EADDRINUSE: "; end the program that has the port, or choose another port with -p",
    errno.EACCES: "; choose a port above 1023 with -p",
    errno.EADDRNOTAVAIL: "; -b takes an address of this machine",
    socket.EAI_NONAME: "; -b takes an address of this machine",
}

#: The settings whose files a server writes.
_WRITTEN = ("pidfile", "log", "profile")


def serve(
    settings: Settings, read_again: Callable[[], Settings], manager: Optional[ServiceManager] = None
) -> int:
    """Serve until Ctrl-C or SIGTERM, and return the exit status.

    Args:
        settings: the settings.
        read_again: reads them again, for the keys and lists of the running server.
        manager: the service manager; None means the one that the environment tells of, if any.

    Raises:
        KeyFileError: there is no key that can be used.
        OSError: the server cannot listen, or a file cannot be used.
        UsageError: a setting is wrong.
    """
    told = ServiceManager(os.environ) if manager is None else manager
    keys = read_keys(settings, told)

    def on_ready(server: Listener) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: stop(server))
        _reload_by_signal(server, lambda: _read_access(read_again(), told))
        _warn_of_root(settings)
        line = f"listens on {', '.join(server.addresses)}"
        _announce(line)
        if settings.text("log"):  # to which the output goes from now on
            server.run_soon(lambda: log.warning("version %s %s", VERSION, line))
        told.tell("READY=1", f"STATUS={line}")

    def stop(server: Listener) -> None:
        told.tell("STOPPING=1")
        server.stop()

    try:
        run(
            lambda: make_server(settings, keys, told),
            on_ready,
            bool(settings.number("daemonize")),
            settings.text("pidfile"),
            settings.text("log"),
            settings.text("profile"),
        )
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        if advice and error.filename is None:  # an error that names a file is none of the network
            error.strerror = f"{error.strerror}{advice}"
        for name in _WRITTEN:
            path = settings.text(name)
            if path is not None and error.filename in (path, os.path.abspath(path)):
                error.strerror = f"{error.strerror} (--{name})"
        raise
    return 0


def _reload_by_signal(server: Listener, read: Callable[[], Access]) -> None:
    """Let SIGHUP read keys and lists again; if they cannot be read, the server keeps its own."""

    def reload() -> None:
        try:
            access = read()
        except Exception as error:
            log.error("keys and lists stay as they were: %s", error)
            return
        server.set_access(access)
        log.warning("keys and lists were read again; keys that are valid now: %d", len(access.keys))

    for reload_signal in reload_signals():
        signal.signal(reload_signal, lambda number, frame: server.run_soon(reload))


def _read_access(settings: Settings, manager: ServiceManager) -> Access:
    return Access(read_keys(settings, manager), settings.texts("allow"), settings.texts("deny"))


def _warn_of_root(settings: Settings) -> None:
    if is_all_powerful(settings.text("run_as")):
        print_error(
            "easycluster: connections run as root: every holder of the key is root here, and can read it;"
            " name another user with --run-as NAME\n"
        )


def make_server(settings: Settings, keys: Keys, manager: ServiceManager) -> Server:
    """Make a server with these settings.

    Raises:
        KeyFileError: the key is no key.
        OSError: it cannot listen.
        UsageError: a setting is wrong.
    """
    name = settings.text("class")
    if settings.number("daemonize") and not settings.has("class"):
        name = "QuietServer"  # nobody reads the calls
    server_class = CLASSES[str(name)]
    verbosity = server_class.default_verbosity + settings.number("verbose")
    try:
        return server_class(
            settings.number("port"),
            keys,
            verbosity=verbosity,
            sockets=manager.sockets,
            **settings.server_keywords(),
        )
    except KeyFileError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_keys(settings: Settings, manager: ServiceManager) -> List[Key]:
    """Return the keys of a server.

    Raises:
        KeyFileError: a file cannot be used.
        OSError: a file cannot be read.
        UsageError: no key is given, or one in both ways.
    """
    paths, text = settings.texts("keyfile"), settings.text("key")
    if paths and text is not None:
        raise UsageError("-k and -K exclude each other: leave one out")
    if not paths and text is None:
        raise UsageError(
            "the server needs a key, and none was given; name its file with -k FILE (`easycluster -g FILE`"
            " makes one), or give the key itself with -K KEY"
        )
    keys = [_read_file(path, manager) for path in paths] or [decode_key(text or "")]
    for key in keys:
        try:
            check_key(key, "the server")
        except KeyFileError as error:
            if paths:
                raise
            raise UsageError(str(error)) from error
    return keys


def _read_file(path: str, manager: ServiceManager) -> Key:
    try:
        if not manager.has_copy(path):
            require_private(path)
        return read_key_file(manager.find_copy(path))
    except FileNotFoundError as error:
        error.strerror = f"{error.strerror} (make one with easycluster -g {path})"
        raise


def _announce(line: str) -> None:
    line = f"easycluster {VERSION} {line}\n"
    # Standard output may be a full disk.
    if not print_lines(sys.stdout, line):
        print_error(line)
