"""``easycluster -S``: serving."""

from __future__ import annotations

import errno
import os
import signal
import sys

from easycluster_protocol._constants import VERSION
from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import check_key, decode_key, read_key_file
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.listener import Listener
from easycluster_server._standalone.running import run
from easycluster_server._standalone.servers import CLASSES, Server
from easycluster_server._standalone.service_manager import ServiceManager
from easycluster_server._system.error_stream import print_error, print_lines
from easycluster_server._system.key_files import require_private

from .errors import UsageError

#: Number of an error that a server meets → what to do.
_ADVICE = {
    errno.EADDRINUSE: "; end the program that has the port, or choose another port with -p",
    errno.EACCES: "; choose a port above 1023 with -p",
    errno.EADDRNOTAVAIL: "; -b takes an address of this machine",
}


def serve(settings: Settings) -> int:
    """Serve until Ctrl-C or SIGTERM, and return the exit status.

    Raises:
        KeyFileError: there is no key that can be used.
        OSError: the server cannot listen, or a file cannot be used.
        UsageError: a setting is wrong.
    """
    manager = ServiceManager(os.environ)
    key = read_key(settings, manager)

    def on_ready(server: Listener) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: stop(server))
        line = f"listens on {', '.join(server.addresses)}"
        _announce(line)
        manager.tell("READY=1", f"STATUS={line}")

    def stop(server: Listener) -> None:
        manager.tell("STOPPING=1")
        server.stop()

    try:
        run(
            lambda: make_server(settings, key, manager),
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
        raise
    return 0


def make_server(settings: Settings, key: bytes, manager: ServiceManager) -> Server:
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
            key,
            verbosity=verbosity,
            sockets=manager.sockets,
            **settings.server_keywords(),
        )
    except KeyFileError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_key(settings: Settings, manager: ServiceManager) -> bytes:
    """Return the key of a server.

    Raises:
        KeyFileError: there is none, or its file cannot be used.
        OSError: its file cannot be read.
        UsageError: there are two.
    """
    path, text = settings.text("keyfile"), settings.text("key")
    if path is not None and text is not None:
        raise UsageError("-k and -K exclude each other: leave one out")
    if path is not None:
        try:
            if not manager.has_copy(path):
                require_private(path)
            key = read_key_file(manager.find_copy(path))
        except FileNotFoundError as error:
            error.strerror = f"{error.strerror} (make one with easycluster -g {path})"
            raise
    else:
        key = decode_key(text or "")
    check_key(key, "the server")
    return key


def _announce(line: str) -> None:
    line = f"easycluster {VERSION} {line}\n"
    # Standard output may be a full disk.
    if not print_lines(sys.stdout, line):
        print_error(line)
