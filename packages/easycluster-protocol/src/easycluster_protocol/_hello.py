"""What each end says of itself in the handshake, and how that is written.

The encoding is a sequence of fields, each a tag (1 byte), a length (2 bytes, big-endian) and that
many bytes. No tag stands twice. A tag that the reader does not know is skipped, so fields can be
added without a new version of the protocol; every byte is part of the authenticated transcript.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Dict, List, Tuple

from ._pickling import HIGHEST_PROTOCOL
from .errors import RemoteProtocolError

VERSION = "1.0.0"

#: The versions of the protocol that this code speaks, from lowest to highest.
PROTOCOL_VERSIONS = (1, 1)

_FIELD = struct.Struct(">BH")

#: The types of packets, see `_handshake`.
HELLO, CHALLENGE, PROOF, WELCOME, REFUSE = 1, 2, 3, 4, 5

MAGIC = b"EZCL"

#: What every packet begins with: magic, type, zero, length of the fields.
PREFIX = struct.Struct(">4sBBH")

_TEXT, _NUMBER, _BYTES = "text", "number", "bytes"

#: tag → (name, form, default). The numbers are frozen.
FIELDS: Dict[int, Tuple[str, str, Any]] = {
    1: ("protocol_low", _NUMBER, PROTOCOL_VERSIONS[0]),
    2: ("protocol_high", _NUMBER, PROTOCOL_VERSIONS[1]),
    3: ("version", _TEXT, ""),  # of EasyCluster
    4: ("python", _TEXT, ""),  # as "3.12.1"
    5: ("implementation", _TEXT, ""),  # as "cpython"
    6: ("byteorder", _TEXT, ""),  # "little" or "big"
    7: ("pickle_protocol", _NUMBER, 4),  # the highest
    8: ("codecs", _TEXT, ""),  # those it can read, best first, joined by commas
    9: ("capabilities", _TEXT, ""),  # names joined by commas
    10: ("nonce", _BYTES, b""),  # 32 random bytes
    11: ("key_id", _BYTES, b""),  # which key is meant, see _handshake.key_id
    12: ("tls", _NUMBER, 0),  # 0: no, 1: if the peer can, 2: required
    13: ("upgrade", _TEXT, ""),  # client: the code it could send; server: what it takes of that
    14: ("compress", _NUMBER, 0),  # 1: this connection is to be compressed
    15: ("credit", _NUMBER, 0),  # bytes per thread that the peer may send at once; 0: no limit
    16: ("purpose", _NUMBER, 0),  # 0: a session, 1: the status of one
    17: ("session", _BYTES, b""),  # server: the name of the session; status: the one asked about
    18: ("host", _TEXT, ""),  # the host's own name
    19: ("text", _TEXT, ""),  # of a refusal or a status: for people
    20: ("code", _TEXT, ""),  # of a refusal or a status: for programs
    21: ("proof", _BYTES, b""),  # see _handshake
    22: ("platform", _TEXT, ""),  # sys.platform
    23: ("process", _NUMBER, 0),  # the worker's process id
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
                parts += [_FIELD.pack(tag, len(value)), value]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """Return the fields in ``data``.

        Raises:
            RemoteProtocolError: they cannot be read.
        """
        fields: Dict[str, Any] = {}
        offset = 0
        while offset < len(data):
            if len(data) - offset < _FIELD.size:
                raise RemoteProtocolError("a handshake field is cut short")
            tag, length = _FIELD.unpack_from(data, offset)
            offset += _FIELD.size
            value = bytes(data[offset : offset + length])
            offset += length
            if len(value) != length:
                raise RemoteProtocolError("a handshake field is cut short")
            if tag in FIELDS:
                name, form, _ = FIELDS[tag]
                if name in fields:
                    raise RemoteProtocolError(f"the handshake field {name} stands twice")
                fields[name] = _from_bytes(name, value, form)
        return cls(**fields)


def _to_bytes(value: Any, form: str) -> bytes:
    if form == _TEXT:
        return str(value).encode("utf-8", "replace")  # a host's name may be no valid Unicode
    if form == _NUMBER:
        return struct.pack(">Q", value)
    return bytes(value)


def _from_bytes(name: str, value: bytes, form: str) -> Any:
    if form == _BYTES:
        return value
    try:
        if form == _NUMBER:
            return struct.unpack(">Q", value)[0]
        return value.decode("utf-8")
    except (struct.error, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"the handshake field {name} cannot be read") from error


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
        "pickle_protocol": HIGHEST_PROTOCOL,
        "codecs": "zlib",
        "capabilities": "",
        "platform": sys.platform,
    }
    own.update(fields)
    return Hello(**own)
