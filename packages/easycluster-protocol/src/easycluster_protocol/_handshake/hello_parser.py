"""Reads the fields of a packet that the peer sent, see `hello`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Dict

from easycluster_protocol.errors import RemoteProtocolError

from .hello import BYTES, FIELD, FIELDS, NUMBER, Hello

if TYPE_CHECKING:
    from .hello import FieldValue


def parse_hello(data: bytes) -> Hello:
    """Return the fields in ``data``.

    Raises:
        RemoteProtocolError: they cannot be read.
    """
    fields: Dict[str, FieldValue] = {}
    offset = 0
    while offset < len(data):
        if len(data) - offset < FIELD.size:
            raise RemoteProtocolError("a handshake field is cut short")
        tag, length = FIELD.unpack_from(data, offset)
        offset += FIELD.size
        value = bytes(data[offset : offset + length])
        offset += length
        if len(value) != length:
            raise RemoteProtocolError("a handshake field is cut short")
        if tag in FIELDS:
            name, form, _ = FIELDS[tag]
            if name in fields:
                raise RemoteProtocolError(f"the handshake field {name} occurs twice")
            fields[name] = _decode_value(name, value, form)
    return Hello(**fields)


def _decode_value(name: str, value: bytes, form: str) -> FieldValue:
    if form == BYTES:
        return value
    try:
        if form == NUMBER:
            (number,) = struct.unpack(">Q", value)
            return int(number)
        return value.decode("utf-8")
    except (struct.error, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"the handshake field {name} cannot be read") from error
