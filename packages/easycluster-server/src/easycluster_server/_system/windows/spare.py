"""A spare interpreter: it imports what a worker needs, waits for a connection, and serves it."""

from __future__ import annotations

import msvcrt
import os
import pickle
import socket
import struct
from typing import TYPE_CHECKING, Any, Callable, Tuple

from easycluster_server._system import control
from easycluster_server._system.output import standard_error
from easycluster_server._system.this_process import report

from .pipes import has_data
from .transport import SocketTransport

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport

_SIZE = struct.Struct("<I")


def main(
    control_handle: int,
    load: Callable[[], None],
    warm_up: Callable[[Callable[[], bool]], None],
    serve: Callable[[Callable[[], Any], Transport], int],
) -> None:
    """Serve the connection that comes through standard input; does not return.

    Args:
        control_handle: the handle of the pipe to the guard.
        load: imports what every worker needs.
        warm_up: imports more, until there is a connection.
        serve: serves a connection.
    """
    status = 1
    try:
        os.set_handle_inheritable(control_handle, False)
        control.set_control(msvcrt.open_osfhandle(control_handle, os.O_WRONLY))
        # In virtual environments it was needed to start this process; the user's code is to see none of it.
        os.environ.pop("__PYVENV_LAUNCHER__", None)
        load()
        warm_up(lambda: has_data(0))
        shared, config = _receive()
        standard_error.pin()
        transport = SocketTransport(socket.fromshare(shared))
        status = serve(lambda: config, transport)
    except EOFError:  # the owner has no use for it
        status = 0
    except BaseException as error:
        report(error)
    finally:
        os._exit(status)


def _receive() -> Tuple[bytes, Any]:
    """Return the shared socket and the configuration; afterwards standard input is empty."""
    (size,) = _SIZE.unpack(_read(_SIZE.size))
    request: Tuple[bytes, Any] = pickle.loads(_read(size))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    os.close(null)
    return request


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(0, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return data
