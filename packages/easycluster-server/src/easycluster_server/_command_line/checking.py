"""``easycluster --check``: all that is wrong with settings, key and port of a server."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from typing import Iterator, List, Optional

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol.errors import EasyClusterError
from easycluster_protocol.keys import Key
from easycluster_server._standalone.config.file import ConfigFileError, read_config_file
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.service_manager import ServiceManager
from easycluster_server._standalone.services.service import Service
from easycluster_server._system.error_stream import print_error

from .errors import UsageError
from .service_verbs import find_service, say
from .serving import make_server, read_keys

#: Seconds that a server which has the port may take to answer.
_PATIENCE = 5.0

#: How many bytes of a handshake are taken at once.
_PIECE = 4096


def check(options: argparse.Namespace, settings: Settings) -> int:
    """Print all that is wrong, and return 0 if that is nothing, or 1.

    Without ``--config``, ``-k`` and ``-K``, the settings are those of the installed service.
    """
    problems = list(_find_problems(options, settings))
    for problem in problems:
        print_error(f"easycluster: {problem}\n")
    return 1 if problems else 0


def _find_problems(options: argparse.Namespace, settings: Settings) -> Iterator[str]:
    path = options.config or _find_config(options, settings)
    if path is not None:
        say(f"settings: {path}")
        try:
            settings = settings.over(read_config_file(path))
        except ConfigFileError as error:
            yield from error.problems
            return
        except OSError as error:
            yield str(error)
            return
    try:
        keys = read_keys(settings, ServiceManager({}))
    except (EasyClusterError, OSError, UsageError) as error:
        yield str(error)
        keys = []
    yield from _try_port(settings, keys)


def _find_config(options: argparse.Namespace, settings: Settings) -> Optional[str]:
    """Return the configuration file of the installed service, if it is meant and there is one."""
    if settings.has("keyfile") or settings.has("key"):
        return None
    try:
        service: Service = find_service(options)
    except UsageError:
        return None
    return service.config_path if os.path.exists(service.config_path) else None


def _try_port(settings: Settings, keys: List[Key]) -> Iterator[str]:
    try:
        # Without a key of its own, the port can be tried all the same.
        server = make_server(settings, keys or os.urandom(32), ServiceManager({}))
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not keys:
            yield str(error)
        else:
            refusal = _ask(settings, keys[0])
            if refusal:
                yield f"{error}, and it is no server with this key: {refusal}"
            else:
                say(f"a server with this key answers on port {settings.number('port')}")
        return
    except (EasyClusterError, UsageError) as error:
        yield str(error)
        return
    addresses = server.addresses
    server.stop()
    server.serve()
    if keys:
        say(f"a server can listen on {', '.join(addresses)}")


def _ask(settings: Settings, key: Key) -> str:
    """Return why the server at the port is none with this key, or ""."""
    bind = settings.get("bind")
    host = str((bind[0] if isinstance(bind, list) else bind) or "127.0.0.1")
    handshake = ClientHandshake(key)
    try:
        with socket.create_connection((host, settings.number("port")), _PATIENCE) as connection:
            while handshake.agreement is None:
                connection.sendall(handshake.data_to_send())
                data = connection.recv(_PIECE)
                if data:
                    handshake.receive_data(data)
                else:
                    handshake.receive_eof()
    except (EasyClusterError, OSError) as error:
        return str(error)
    return ""
