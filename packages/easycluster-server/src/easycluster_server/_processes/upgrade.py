"""The process of a connection becomes one that runs the client's code, which is of another version.

The server checks that the code comes from a holder of the key, and knows nothing else about it. It passes on
what the handshake has come to, in a form that later versions only add to, see docs/protocol.md; `resumed`
takes that, on the other side.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

from easycluster_protocol._handshake.hello import REFUSE, VERSION, Hello, pack_packet
from easycluster_protocol._handshake.upgrade import CODE_SECONDS, HEAD_BYTES, read_length, unpack_code
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.transport import SocketTransport, wait
from easycluster_server._serving.session_log import SessionLog
from easycluster_server._system import write_all
from easycluster_server._system.replacing import replace_process

if TYPE_CHECKING:
    from .worker import Config

#: Seconds that a client has to read why it was refused.
_REFUSAL_SECONDS = 1.0

_PIECE_BYTES = 1 << 16


def become_clients_code(config: Config, connection: socket.socket) -> int:
    """Welcome the client, receive its code, and become that.

    Args:
        config: the worker's configuration, with ``code_key``.
        connection: the connection.

    Returns:
        The status of this process: the code was refused, and the client has been told; or it has left.
    """
    log = SessionLog(config.get("peer", "a client"), config.get("verbosity", 0))
    descriptor = connection.fileno()
    try:
        # Now: the code is the client's, and must not be asked to give up rights.
        config.get("confine", id)(SocketTransport(connection))
    except ConnectError as error:  # the client has been told
        log.write(f"was refused: {error}")
        return 1
    try:
        write_all(descriptor, config.get("welcome", b""))
        received = _Received(connection, config.get("leftover", b""))
        head = received.take(HEAD_BYTES)
        line, bundle = unpack_code(config.get("code_key", b""), head, received.take(read_length(head)))
        replace_process(line, bundle, describe_session(config), descriptor)
    except OSError as error:  # those of the protocol are among them
        log.write(f"was refused: {error}")
        _refuse(connection, str(error))
    return 1


def _refuse(connection: socket.socket, text: str) -> None:
    try:
        write_all(connection.fileno(), pack_packet(REFUSE, Hello(code="upgrade", text=text, version=VERSION)))
        # To close while bytes are unread would reset the connection, and take the refusal away.
        connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _REFUSAL_SECONDS
        while wait(connection.fileno(), -1, max(0.0, deadline - time.monotonic()))[0]:
            if not connection.recv(_PIECE_BYTES):
                break
    except OSError:  # it has left
        pass


class _Received:
    """The bytes of the client; no more of them are read than are asked for.

    Args:
        connection: the connection.
        data: those that have come already.
    """

    def __init__(self, connection: socket.socket, data: bytes) -> None:
        self._connection = connection
        self._data = bytearray(data)
        self._deadline = time.monotonic() + CODE_SECONDS

    def take(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            ConnectError: they did not come in time, or the client has left.
        """
        while len(self._data) < size:
            left = self._deadline - time.monotonic()
            if left <= 0 or not wait(self._connection.fileno(), -1, left)[0]:
                raise ConnectError(f"its code did not come within {CODE_SECONDS:.0f} s")
            data = self._connection.recv(size - len(self._data))
            if not data:
                raise ConnectError("it left before all of its code had come")
            self._data += data
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


def describe_session(config: Config) -> bytes:
    """Return what the client's code has to know, for `resumed`. Names and meanings never change."""
    agreement = config.get("agreement")
    assert agreement is not None
    files = config.get("tls")
    session = {
        "server": VERSION,
        "pickle_protocol": agreement.pickle_protocol,
        "compress": agreement.compress,
        "to_client": (agreement.send_key or b"").hex(),
        "to_server": (agreement.receive_key or b"").hex(),
        "session": agreement.name.hex(),
        "peer": config.get("peer", ""),
        "verbosity": config.get("verbosity", 0),
        "tls": [agreement.tls[0], agreement.tls[1].hex()] if agreement.tls else None,
        "tls_files": files.paths if files else None,
        "profile": config.get("profile", ""),
    }
    return json.dumps(session).encode()
