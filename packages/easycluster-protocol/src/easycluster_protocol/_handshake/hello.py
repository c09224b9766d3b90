"""The packets of a handshake: their fields, how these are encoded, and the agreement of two ends.

The encoding is a sequence of fields, each a tag (1 byte), a length (2 bytes, big-endian) and that
many bytes. No tag occurs twice. A tag that the reader does not know is skipped, so fields can be
added without a new version of the protocol; every byte is part of the authenticated transcript.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple, Union

if TYPE_CHECKING:
    FieldValue = Union[int, str, bytes]

    #: How a connection is encrypted, see `encryption`, and the secret of the connection for it.
    Encryption = Tuple[str, bytes]

VERSION = "1.0.0"

#: The versions of the protocol that this code speaks, from lowest to highest.
PROTOCOL_VERSIONS = (1, 1)

#: The name of an extension, in the field `capabilities`: CANCEL ends calls.
CANCEL = "cancel"

#: The beginning of a field: tag, length.
FIELD = struct.Struct(">BH")

#: The types of packets, see `handshake`.
HELLO, CHALLENGE, PROOF, WELCOME, REFUSE = 1, 2, 3, 4, 5

#: A `purpose`, and the capability of a server that understands it: a question about another session.
STATUS, STATUS_CAPABILITY = 1, "status"

MAGIC = b"EZCL"

#: The beginning of a packet: magic, type, zero, length of the fields.
PREFIX = struct.Struct(">4sBBH")

TEXT, NUMBER, BYTES = "text", "number", "bytes"

#: tag → (name, form, default). The numbers are frozen.
FIELDS: Dict[int, Tuple[str, str, FieldValue]] = {
    1: ("protocol_low", NUMBER, PROTOCOL_VERSIONS[0]),
    2: ("protocol_high", NUMBER, PROTOCOL_VERSIONS[1]),
    3: ("version", TEXT, ""),  # of EasyCluster
    4: ("python", TEXT, ""),  # as "3.12.1"
    5: ("implementation", TEXT, ""),  # as "cpython"
    6: ("byteorder", TEXT, ""),  # "little" or "big"
    7: ("pickle_protocol", NUMBER, 4),  # the highest
    8: ("codecs", TEXT, ""),  # compressions that the sender can read, best first, joined by commas
    9: ("capabilities", TEXT, ""),  # names of extensions, joined by commas
    10: ("nonce", BYTES, b""),  # 32 random bytes
    11: ("key_id", BYTES, b""),  # identifies the key, see `secrets`
    12: ("tls", NUMBER, 0),  # 0: no, 1: if the peer can, 2: required
    13: ("upgrade", TEXT, ""),  # client: the code that it could send; server: the part of it that it accepts
    14: ("compress", NUMBER, 0),  # 1: the sender wants this connection to be compressed
    15: ("credit", NUMBER, 0),  # bytes per thread that the peer may send at once; 0: no limit
    16: ("purpose", NUMBER, 0),  # 0: a session, 1: the status of one
    17: ("session", BYTES, b""),  # server: the name of the session; client: of the session that it asks about
    18: ("host", TEXT, ""),  # the name of the sender's host
    19: ("text", TEXT, ""),  # of a refusal or a status: for people
    20: ("code", TEXT, ""),  # of a refusal or a status: for programs
    21: ("proof", BYTES, b""),  # see `secrets`
    22: ("platform", TEXT, ""),  # as "linux"
    23: ("process", NUMBER, 0),  # the worker's process id
    24: ("keep_alive", NUMBER, 0),  # milliseconds after which the client gives up a silent peer; 0: never
}

_TAGS = {name: (tag, form) for tag, (name, form, _) in FIELDS.items()}


class Hello:
    """The fields of one packet, as attributes; see `FIELDS` for their meanings.

    Attributes:
        given: the names of the fields that were given; the others have their defaults.
    """

    if TYPE_CHECKING:
        protocol_low: int
        protocol_high: int
        version: str
        python: str
        implementation: str
        byteorder: str
        pickle_protocol: int
        codecs: str
        capabilities: str
        nonce: bytes
        key_id: bytes
        tls: int
        upgrade: str
        compress: int
        credit: int
        purpose: int
        session: bytes
        host: str
        text: str
        code: str
        proof: bytes
        platform: str
        process: int
        keep_alive: int

    def __init__(self, **fields: FieldValue) -> None:
        for name, _, default in FIELDS.values():
            setattr(self, name, default)
        for name, value in fields.items():
            if name not in _TAGS:
                raise TypeError(f"there is no handshake field named {name!r}")
            setattr(self, name, value)
        self.given = set(fields)

    def can(self, name: str) -> bool:
        """Return whether this end has named an extension among its `capabilities`."""
        return name in self.capabilities.split(",")

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in sorted(self.given) if name not in ("nonce", "proof")}
        return f"Hello({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def encode(self) -> bytes:
        """Return the fields that were given, in the order of their tags."""
        parts: List[bytes] = []
        for tag, (name, form, _) in sorted(FIELDS.items()):
            if name in self.given:
                value = _encode_value(getattr(self, name), form)
                parts += [FIELD.pack(tag, len(value)), value]
        return b"".join(parts)


def _encode_value(value: FieldValue, form: str) -> bytes:
    if form == TEXT:
        return str(value).encode("utf-8", "replace")  # the name of a host need not be valid Unicode
    if form == NUMBER:
        return struct.pack(">Q", value)
    return bytes(value)  # type: ignore[arg-type]  # its form is BYTES


def pack_packet(kind: int, hello: Hello) -> bytes:
    """Return the bytes of a packet with these fields."""
    fields = hello.encode()
    return PREFIX.pack(MAGIC, kind, 0, len(fields)) + fields


def describe_self(**fields: FieldValue) -> Hello:
    """Return the description of this process, with further fields."""
    own: Dict[str, FieldValue] = {
        "protocol_low": PROTOCOL_VERSIONS[0],
        "protocol_high": PROTOCOL_VERSIONS[1],
        "version": VERSION,
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "byteorder": sys.byteorder,
        "pickle_protocol": 5 if sys.version_info >= (3, 8) else 4,
        "codecs": "zlib",
        "capabilities": CANCEL,
        "platform": sys.platform,
    }
    own.update(fields)
    return Hello(**own)


class Agreement:
    """The result of a handshake, as one of the ends sees it.

    Attributes:
        peer: the description of the peer.
        pickle_protocol: the highest that both ends understand.
        compress: whether both ends may compress what they send.
        send_key, receive_key: the keys of the frames that this end sends and receives, 32 bytes each; None on
            private connections, and where TLS is used.
        tls: how the connection is encrypted, and the secret for that, see `encryption`; None: not at all.
        name: the name that the server gave the session, random bytes.
    """

    __slots__ = ("peer", "pickle_protocol", "compress", "send_key", "receive_key", "name", "tls")

    def __init__(
        self,
        peer: Hello,
        pickle_protocol: int,
        compress: bool,
        send_key: Optional[bytes] = None,
        receive_key: Optional[bytes] = None,
        name: bytes = b"",
    ) -> None:
        self.peer = peer
        self.pickle_protocol = pickle_protocol
        self.compress = compress
        self.send_key = send_key
        self.receive_key = receive_key
        self.name = name
        self.tls: Optional[Encryption] = None

    def __repr__(self) -> str:
        kind = self.tls[0] if self.tls else "private" if self.send_key is None else "keyed"
        return f"<Agreement: {kind}, pickle protocol {self.pickle_protocol}, peer {self.peer!r}>"


def agree(
    own: Hello, peer: Hello, send: Optional[bytes] = None, receive: Optional[bytes] = None, name: bytes = b""
) -> Agreement:
    """Return the agreement that follows from two descriptions; it is the same at both ends.

    Args:
        own: the description of this end.
        peer: the description of the other end.
        send: the key of the frames that this end sends; None on private connections.
        receive: the key of the frames that it receives.
        name: the name of the session.
    """
    # An end that can read a codec can also write it, so one answer holds for both directions.
    both_can = all("zlib" in end.codecs.split(",") for end in (own, peer))
    compress = bool(own.compress or peer.compress) and both_can
    return Agreement(peer, min(own.pickle_protocol, peer.pickle_protocol), compress, send, receive, name)
