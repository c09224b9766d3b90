"""The handshakes of TLS, which follow ours where both ends want them; see `_handshake.encryption`."""

from __future__ import annotations

import hmac
import socket
import ssl
import time
from typing import TYPE_CHECKING, Callable, List, Optional, Tuple

from easycluster_protocol._handshake.encryption import BY_KEY, bind, describe
from easycluster_protocol._limits import HANDSHAKE_SECONDS
from easycluster_protocol.errors import ConnectError

from .tls import TlsTransport
from .tls_contexts import (
    TlsFiles,
    make_client_context,
    make_key_context,
)
from .tls_failures import explain_client, explain_failure, explain_refusal, explain_server
from .transport import EndOfStream, SocketTransport, wait as wait_for_bytes

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import Encryption
    from easycluster_protocol._wire.link import Link

    from .tls_server_files import ServerFiles
    from .transport import Transport

    #: Called before each reception with the descriptor; raises when there is no more time.
    Wait = Callable[[int], object]

_PROOF_SIZE = 32
_HEADER_SIZE = 5

#: Seconds that a server gives a client to read why it is refused.
_ALERT_SECONDS = 1.0


def secure_client(
    transport: SocketTransport, encryption: Encryption, files: TlsFiles, host: str, wait: Wait
) -> Tuple[TlsTransport, bytes]:
    """Run the client's end of a handshake of TLS.

    Args:
        transport: the connection.
        encryption: what our own handshake has agreed on.
        files: the files of this end.
        host: the name of the server, which its certificate has to have if there is a CA.
        wait: called before each reception.

    Returns:
        The transport within TLS, and bytes of the peer that have come already.

    Raises:
        ConnectError: TLS failed; the message says what to do.
        KeyFileError: a file cannot be used.
        OSError: a file cannot be read, or the connection broke.
    """
    way, secret = encryption
    if way == BY_KEY:
        context = make_key_context(ssl.PROTOCOL_TLS_CLIENT, secret)
        return _shake_hands(context, transport, encryption, wait, None), b""
    context = make_client_context(files)
    name = host.partition("%")[0].rstrip(".")
    try:
        tls = _shake_hands(context, transport, encryption, wait, name)
    except ssl.SSLCertVerificationError as error:  # novm
        raise ConnectError(explain_server(error, host, files)) from error
    certificate = tls.certificate or b""
    try:
        tls.send([], [bind(secret, "client", certificate)], True)
    except (BrokenPipeError, ConnectionResetError):  # the reason is to be read
        pass
    try:
        proof, early = _receive(tls, wait)
    except (EndOfStream, ConnectError, OSError) as error:
        raise ConnectError(explain_refusal(error, files)) from error
    if not hmac.compare_digest(proof, bind(secret, "server", certificate)):
        raise ConnectError("the TLS of the server does not belong to the holder of the shared key")
    tls.description += ", checked by its CA" if files.ca else ", for which the shared key vouches"
    return tls, early


def secure_server(
    transport: SocketTransport, encryption: Encryption, files: Optional[ServerFiles], wait: Wait
) -> Tuple[TlsTransport, bytes]:
    """Run the server's end of a handshake of TLS; see `secure_client`."""
    way, secret = encryption
    if way == BY_KEY:
        context = make_key_context(ssl.PROTOCOL_TLS_SERVER, secret)
        tls = _shake_hands(context, transport, encryption, wait, None)
        early = _Inbox()
        tls.receive_held(early)
        return tls, b"".join(early.inbox)
    assert files is not None
    context, keyless, certificate = files.take()
    try:
        tls = _shake_hands(context, transport, encryption, wait, None, keyless)
    except ssl.SSLCertVerificationError as error:  # novm
        raise ConnectError(explain_client(error, TlsFiles(*files.paths))) from error
    except ssl.SSLError as error:
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            raise ConnectError(
                "the client has shown no certificate (tls_cert=), which --tls-ca demands"
            ) from error
        raise
    proof, rest = _receive(tls, wait)
    if not hmac.compare_digest(proof, bind(secret, "client", certificate)):
        raise ConnectError("the TLS of the client does not belong to the holder of the shared key")
    tls.send([], [bind(secret, "server", certificate)], True)
    return tls, rest


def secure_worker(
    link: Link,
    transport: Transport,
    files: Optional[ServerFiles],
    peer: Optional[str],
) -> TlsTransport:
    """Return the transport within TLS for a link of a standalone server, see `secure_server`.

    Raises:
        ConnectError: TLS failed; the message is for the log.
    """
    deadline = time.monotonic() + HANDSHAKE_SECONDS

    def wait(descriptor: int) -> None:
        if not wait_for_bytes(descriptor, -1, max(0.0, deadline - time.monotonic()))[0]:
            raise ConnectError(f"no handshake of TLS within {HANDSHAKE_SECONDS:.0f} s")

    encryption = link.agreement.tls
    assert encryption is not None
    assert isinstance(transport, SocketTransport)
    try:
        tls, early = secure_server(transport, encryption, files, wait)
    except (OSError, ValueError, EndOfStream) as error:  # of files, too
        raise ConnectError(f"connection from {peer} refused: {error}") from error
    if early:
        link.receive_data(early)
    return tls


class _Inbox:
    """Stands where a transport expects a receiver, and only collects the bytes."""

    direct = None

    def __init__(self) -> None:
        self.inbox: List[bytes] = []


def _receive(tls: TlsTransport, wait: Wait) -> Tuple[bytes, bytes]:
    """Return the proof of the peer, and the bytes after it."""
    inbox = _Inbox()
    tls.receive_held(inbox)
    while sum(map(len, inbox.inbox)) < _PROOF_SIZE:
        wait(tls.fileno())
        tls.receive(inbox, True)
    data = b"".join(inbox.inbox)
    return data[:_PROOF_SIZE], data[_PROOF_SIZE:]


def _shake_hands(
    context: ssl.SSLContext,
    transport: SocketTransport,
    encryption: Encryption,
    wait: Wait,
    host: Optional[str],
    keyless: Optional[ssl.SSLContext] = None,
) -> TlsTransport:
    is_server = context.protocol == ssl.PROTOCOL_TLS_SERVER
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    # A connection keeps what it was made from. The private key is to leave memory when the handshake is over.
    tls = (keyless or context).wrap_bio(incoming, outgoing, is_server, host)
    tls.context = context
    data = b""
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            _send_alert(transport, outgoing)
            if is_server:
                _wait_for_end(transport)
            if getattr(error, "verify_code", 0) or error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                raise
            raise ConnectError(explain_failure(error, is_server)) from error
        else:
            break
        _send_pending(transport, outgoing)
        # One record at a time, so that those after the handshake stay outside.
        while not _is_complete(data):
            wait(transport.fileno())
            data += _receive_once(transport)
        size = _record_size(data)
        incoming.write(data[:size])
        data = data[size:]
    tls.context = keyless or context
    _send_pending(transport, outgoing)
    if encryption[0] == BY_KEY and not tls.session_reused:
        raise ConnectError("the peer has not used the shared key for TLS")
    certificate = None if is_server else tls.getpeercert(True)
    return TlsTransport(transport, tls, incoming, outgoing, data, describe(encryption), certificate)


def _record_size(data: bytes) -> int:
    return _HEADER_SIZE + (data[3] << 8 | data[4])


def _is_complete(data: bytes) -> bool:
    return len(data) >= _HEADER_SIZE and len(data) >= _record_size(data)


def _receive_once(transport: SocketTransport) -> bytes:
    inbox = _Inbox()
    try:
        transport.receive(inbox, True)
    except EndOfStream:
        raise ConnectError("the peer closed the connection during the handshake of TLS") from None
    return b"".join(inbox.inbox)


def _send_pending(transport: SocketTransport, outgoing: ssl.MemoryBIO) -> None:
    data = outgoing.read()
    while data:
        sent: List[int] = []
        transport.send(sent, [data], True)
        data = data[sum(sent) :]


def _send_alert(transport: SocketTransport, outgoing: ssl.MemoryBIO) -> None:
    """Tell the peer why this end gives up."""
    try:
        _send_pending(transport, outgoing)
    except OSError:  # it has left
        pass


def _wait_for_end(transport: SocketTransport) -> None:
    """Wait a moment for the client to leave: closing while its bytes are unread would take the alert away."""
    deadline = time.monotonic() + _ALERT_SECONDS
    try:
        transport.socket.shutdown(socket.SHUT_WR)
        while wait_for_bytes(transport.fileno(), -1, max(0.0, deadline - time.monotonic()))[0]:
            transport.receive(_Inbox(), True)
    except (OSError, EndOfStream):
        pass
