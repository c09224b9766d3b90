"""The description that each end gives of itself, how it is encoded, and what two ends agree on.

The encoding is a sequence of fields, each a tag (1 byte), a length (2 bytes, big-endian) and that
many bytes. No tag stands twice. A tag that the reader does not know is skipped, so fields can be
added without a new version of the protocol; every byte is part of the authenticated transcript.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Dict, List, Optional, Tuple

VERSION = "1.0.0"

#: The versions of the protocol that this code speaks, from lowest to highest.
PROTOCOL_VERSIONS = (1, 1)

#: What each field begins with: tag, length.
FIELD = struct.Struct(">BH")

#: The types of packets, see `handshake`.
HELLO, CHALLENGE, PROOF, WELCOME, REFUSE = 1, 2, 3, 4, 5

MAGIC = b"EZCL"

#: What every packet begins with: magic, type, zero, length of the fields.
PREFIX = struct.Struct(">4sBBH")

TEXT, NUMBER, BYTES = "text", "number", "bytes"

#: tag → (name, form, default). The numbers are frozen.
FIELDS: Dict[int, Tuple[str, str, Any]] = {
    1: ("protocol_low", NUMBER, PROTOCOL_VERSIONS[0]),
    2: ("protocol_high", NUMBER, PROTOCOL_VERSIONS[1]),
    3: ("version", TEXT, ""),  # of EasyCluster
    4: ("python", TEXT, ""),  # as "3.12.1"
    5: ("implementation", TEXT, ""),  # as "cpython"
    6: ("byteorder", TEXT, ""),  # "little" or "big"
    7: ("pickle_protocol", NUMBER, 4),  # the highest
    8: ("codecs", TEXT, ""),  # those it can read, best first, joined by commas
    9: ("capabilities", TEXT, ""),  # names joined by commas
    10: ("nonce", BYTES, b""),  # 32 random bytes
    11: ("key_id", BYTES, b""),  # which key is meant, see _handshake.key_id
    12: ("tls", NUMBER, 0),  # 0: no, 1: if the peer can, 2: required
    13: ("upgrade", TEXT, ""),  # client: the code it could send; server: what it takes of that
    14: ("compress", NUMBER, 0),  # 1: this connection is to be compressed
    15: ("credit", NUMBER, 0),  # bytes per thread that the peer may send at once; 0: no limit
    16: ("purpose", NUMBER, 0),  # 0: a session, 1: the status of one
    17: ("session", BYTES, b""),  # server: the name of the session; status: the one asked about
    18: ("host", TEXT, ""),  # the host's own name
    19: ("text", TEXT, ""),  # of a refusal or a status: for people
    20: ("code", TEXT, ""),  # of a refusal or a status: for programs
    21: ("proof", BYTES, b""),  # see _handshake
    22: ("platform", TEXT, ""),  # sys.platform
    23: ("process", NUMBER, 0),  # the worker's process id
}

_TAGS = {name: (tag, form) for tag, (name, form, _) in FIELDS.items()}


class Hello:
    """The fields of one handshake packet, as attributes; see `FIELDS` for names and meanings."""

    def __init__(self, **fields: Any) -> None:
        for name, _, default in FIELDS.values():
            setattr(self, name, default)
        for name, value in fields.items():
            if name not in _TAGS:
                raise TypeError(f"there is no handshake field named {name!r}")
            setattr(self, name, value)
        self._given = set(fields)

    def __getattr__(self, name: str) -> Any:  # for type checkers: every field is set in __init__
        raise AttributeError(name)

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in sorted(self._given) if name not in ("nonce", "proof")}
        return f"Hello({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def encode(self) -> bytes:
        """Return the fields that were given, in the order of their tags."""
        parts: List[bytes] = []
        for tag, (name, form, _) in sorted(FIELDS.items()):
            if name in self._given:
                value = _to_bytes(getattr(self, name), form)
                parts += [FIELD.pack(tag, len(value)), value]
        return b"".join(parts)


def _to_bytes(value: Any, form: str) -> bytes:
    if form == TEXT:
        return str(value).encode("utf-8", "replace")  # a host's name may be no valid Unicode
    if form == NUMBER:
        return struct.pack(">Q", value)
    return bytes(value)


def packet(kind: int, hello: Hello) -> bytes:
    """Return the packet of a handshake that holds these fields."""
    fields = hello.encode()
    return PREFIX.pack(MAGIC, kind, 0, len(fields)) + fields


def describe_self(**fields: Any) -> Hello:
    """Return what this process says of itself, with ``fields`` beside it."""
    own: Dict[str, Any] = {
        "protocol_low": PROTOCOL_VERSIONS[0],
        "protocol_high": PROTOCOL_VERSIONS[1],
        "version": VERSION,
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "byteorder": sys.byteorder,
        "pickle_protocol": 5 if sys.version_info >= (3, 8) else 4,
        "codecs": "zlib",
        "capabilities": "",
        "platform": sys.platform,
    }
    own.update(fields)
    return Hello(**own)


class Agreement:
    """What a handshake agrees on.

    Attributes:
        peer: what the peer said of itself.
        pickle_protocol: the highest that both ends understand.
        compress: whether both ends may compress what they send.
        send_key, receive_key: 32 bytes each; None on private connections.
        name: the name that the server gave the session, random bytes.
    """

    __slots__ = ("peer", "pickle_protocol", "compress", "send_key", "receive_key", "name")

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

    def __repr__(self) -> str:
        kind = "private" if self.send_key is None else "keyed"
        return f"<Agreement: {kind}, pickle protocol {self.pickle_protocol}, peer {self.peer!r}>"


def agree(
    own: Hello, peer: Hello, send: Optional[bytes] = None, receive: Optional[bytes] = None, name: bytes = b""
) -> Agreement:
    """Return what two ends agree on that described themselves so; both come to the same answer.

    Args:
        own: what this end said.
        peer: what the other end said.
        send: the key of the frames that this end sends; None on private connections.
        receive: the key of those that it receives.
        name: the name of the session.
    """
    # What either can read counts for both directions.
    both_can = all("zlib" in end.codecs.split(",") for end in (own, peer))
    compress = bool(own.compress or peer.compress) and both_can
    return Agreement(peer, min(own.pickle_protocol, peer.pickle_protocol), compress, send, receive, name)
