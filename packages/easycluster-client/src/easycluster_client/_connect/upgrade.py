"""Sending this end's code to a standalone server of another version, which then runs it."""

from __future__ import annotations

import easycluster_bootstrap as bootstrap
from easycluster_client._deadlines import Deadline
from easycluster_client._ssh.shipment import upgrade_bundle
from easycluster_protocol._handshake.upgrade import find_start, pack_code
from easycluster_protocol._wire.link import Link
from easycluster_protocol.errors import ConnectError
from easycluster_server._io.transport import EndOfStream, SocketTransport


def send_code(link: Link, key: bytes, transport: SocketTransport, deadline: Deadline) -> None:
    """Send the code, and wait until the server runs it.

    Args:
        link: the link of the connection; what comes after the beginning of the code is handed to it.
        key: the key of the code.
        transport: the connection.
        deadline: the end of the time that this may take.

    Raises:
        ConnectError: the server refused the code, could not start it, or was too slow.
        RemoteProtocolError: it answered with something else.
    """
    marker = bootstrap.new_marker()
    unsent = memoryview(pack_code(key, bootstrap.start_line(), upgrade_bundle(marker)))
    failure: OSError | None = None
    try:
        while unsent:
            deadline.wait(-1, transport.write_fileno())
            sent: list[int] = []
            transport.send(sent, [unsent], False)
            unsent = unsent[sum(sent) :]
    except (BrokenPipeError, ConnectionResetError) as error:
        failure = error  # the reason is to be read
    rest = _wait_for_start(marker + b"\n", transport, deadline, failure)
    if rest:
        link.receive_data(rest)


class _Inbox:
    """Stands where a transport expects a receiver, and only collects the bytes."""

    direct = None

    def __init__(self) -> None:
        self.inbox: list[bytes] = []


def _wait_for_start(
    marker: bytes, transport: SocketTransport, deadline: Deadline, failure: OSError | None
) -> bytes:
    """Return the bytes behind the marker."""
    received = _Inbox()
    while True:
        data = b"".join(received.inbox)
        start = find_start(data, marker)
        if start is not None:
            return data[start:]
        deadline.wait(transport.fileno())
        try:
            transport.receive(received, True)
        except (EndOfStream, ConnectionResetError) as error:
            raise ConnectError(
                "the server is of another version, was given the code of this one, and did not start it: its"
                " log says why"
            ) from failure or error
