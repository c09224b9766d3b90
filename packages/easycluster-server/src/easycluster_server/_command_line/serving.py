"""``easycluster -S``: serving."""

from __future__ import annotations

import errno
import signal
import sys
from typing import List

from easycluster_protocol._constants import VERSION
from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import check_key, decode_key, read_key_file
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.servers import CLASSES
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
    """Serve until Ctrl-C or SIGTERM, and return the exit status."""
    key = read_key(settings)
    server_class = CLASSES[settings.text("class") or ""]
    verbosity = server_class.default_verbosity + settings.number("verbose")
    try:
        server = server_class(settings.number("port"), key, verbosity=verbosity, **settings.server_keywords())
    except KeyFileError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        print_error(f"easycluster: {error}{_ADVICE.get(error.errno or 0, '')}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: server.stop())
    _announce(server.addresses)
    server.serve()
    return 0


def read_key(settings: Settings) -> bytes:
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
            require_private(path)
            key = read_key_file(path)
        except FileNotFoundError as error:
            error.strerror = f"{error.strerror} (make one with easycluster -g {path})"
            raise
    else:
        key = decode_key(text or "")
    check_key(key, "the server")
    return key


def _announce(addresses: List[str]) -> None:
    line = f"easycluster {VERSION} listens on {', '.join(addresses)}\n"
    # Standard output may be a full disk.
    if not print_lines(sys.stdout, line):
        print_error(line)
