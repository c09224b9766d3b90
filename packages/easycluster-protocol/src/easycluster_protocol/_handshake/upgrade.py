"""The client's code: what a server of another version runs for a client in place of its own.

Both ends of a keyed connection name what they know (the field `upgrade`, in the transcript). If their
versions differ, and both know "bundle", the client sends one packet right after WELCOME::

    offset  size  field
    0       4     "EZCL"
    4       1     type: CODE
    5       1     zero
    6       8     length of the data, big-endian, at most `MAX_CODE_BYTES`
    14      32    HMAC of length and data, with a key that follows from the transcript
    46      ...   data: length of the line (4), the line, the bundle

The server checks it, and starts Python in the place of the connection's process (`exec`) with the line. Then
both ends run the client's code. That code begins with a marker, which the client has put into the bundle;
what comes before it, as from a `sitecustomize`, is thrown away. A server that cannot do it sends REFUSE.

This packet, and what the new process gets, never change: old servers have to understand new clients.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, Optional, Tuple

from easycluster_protocol.errors import ConnectError, RemoteProtocolError, VersionError

from .handshake import make_printable
from .hello import MAGIC, PREFIX, REFUSE, VERSION
from .hello_parser import parse_hello

if TYPE_CHECKING:
    from .hello import Hello

#: The type of the packet.
CODE = 6

#: The one way that is known, as the field `upgrade` names it.
BUNDLE = "bundle"

#: The most bytes of data that a server takes; ours has 104 kB.
MAX_CODE_BYTES = 8 << 20

#: Seconds in which all of the packet has to come.
CODE_SECONDS = 10.0

#: The most bytes that a client throws away ahead of the marker.
_MAX_NOISE_BYTES = 1 << 20

_HEAD = struct.Struct(">4sBBQ32s")
_LENGTH = struct.Struct(">Q")
_LINE_LENGTH = struct.Struct(">I")

#: Bytes of the packet before the data.
HEAD_BYTES = _HEAD.size


def is_agreed(own: Hello, peer: Hello) -> bool:
    """Return whether the client sends its code; both ends come to the same."""
    return own.version != peer.version and all(BUNDLE in end.upgrade.split(",") for end in (own, peer))


def check_versions_equal(own: Hello, peer: Hello, objection: str) -> None:
    """Raise `VersionError` if a server would have to run the client's code, and cannot.

    Args:
        own: the description of the server.
        peer: the description of the client.
        objection: why the server cannot, as "it was started with --no-upgrade"; "": there is none.
    """
    if objection and own.version != peer.version:
        version = make_printable(peer.version, 40) or "of unknown version"
        raise VersionError(
            f"the client has EasyCluster {version} and the server {own.version} ({objection}): install"
            " the same version at both ends"
        )


def pack_code(key: bytes, line: str, bundle: bytes) -> bytes:
    """Return the packet.

    Args:
        key: the key of this packet.
        line: what Python runs; it finds the bundle on its standard input.
        bundle: the code.
    """
    encoded = line.encode()
    data = _LINE_LENGTH.pack(len(encoded)) + encoded + bundle
    length = _LENGTH.pack(len(data))
    return _HEAD.pack(MAGIC, CODE, 0, len(data), _authenticate(key, length + data)) + data


def read_length(head: bytes) -> int:
    """Return the number of bytes that follow the first `HEAD_BYTES` of the packet.

    Raises:
        RemoteProtocolError: it is another packet, or it is too long.
    """
    magic, kind, zero, length, _ = _HEAD.unpack(head)
    if (magic, kind, zero) != (MAGIC, CODE, 0):
        raise RemoteProtocolError("the client sent something else than its code")
    if not _LINE_LENGTH.size <= length <= MAX_CODE_BYTES:
        raise RemoteProtocolError(
            f"the client's code has {length} bytes, and at most {MAX_CODE_BYTES} are taken"
        )
    return int(length)


def unpack_code(key: bytes, head: bytes, data: bytes) -> Tuple[str, bytes]:
    """Return the line and the bundle.

    Args:
        key: the key of this packet.
        head: its first `HEAD_BYTES`.
        data: the rest.

    Raises:
        RemoteProtocolError: a bit was changed on the way, or the client has another key.
    """
    expected = _authenticate(key, _LENGTH.pack(len(data)) + data)
    if not hmac.compare_digest(expected, _HEAD.unpack(head)[4]):
        raise RemoteProtocolError("the client's code was changed on its way")
    (length,) = _LINE_LENGTH.unpack_from(data)
    start = _LINE_LENGTH.size + length
    try:
        return data[_LINE_LENGTH.size : start].decode(), data[start:]
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("the client's code cannot be read") from error


def _authenticate(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def find_start(data: bytes, marker: bytes) -> Optional[int]:
    """Return where the stream of the client's code begins.

    Args:
        data: all that has come since WELCOME.
        marker: what the code writes first.

    Returns:
        None: more has to come.

    Raises:
        ConnectError: the server has refused the code; the text is its claim.
        RemoteProtocolError: there is no marker.
    """
    start = data.find(marker)
    if start >= 0:
        return start + len(marker)
    if data.startswith(MAGIC) and len(data) >= PREFIX.size:
        _, kind, _, length = PREFIX.unpack_from(data)
        if kind == REFUSE and len(data) >= PREFIX.size + length:
            text = make_printable(parse_hello(data[PREFIX.size : PREFIX.size + length]).text, 500)
            raise ConnectError(f"the server refused the code of EasyCluster {VERSION}: {text}")
    if len(data) > _MAX_NOISE_BYTES:
        raise RemoteProtocolError("the server did not start the code that was sent to it")
    return None
