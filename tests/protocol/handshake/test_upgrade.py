"""The client's code on its way: when it is sent, how, and what changes on the way do to it."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

import pytest

from easycluster_protocol._handshake import upgrade
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import REFUSE, Hello
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._handshake.upgrade import (
    CODE_SECONDS,
    HEAD_BYTES,
    MAX_CODE_BYTES,
    find_start,
    pack_code,
    read_length,
    unpack_code,
)
from easycluster_protocol.errors import ConnectError, RemoteProtocolError, VersionError
from helpers.handshakes import packet, run
from helpers.pair import KEY

CODE_KEY = bytes(range(100, 132))
MARKER = b"marker\n"


def unpack(packed: bytes) -> tuple[str, bytes]:
    """Take a whole packet, as a server does."""
    head, data = packed[:HEAD_BYTES], packed[HEAD_BYTES:]
    if read_length(head) != len(data):
        raise RemoteProtocolError("the server would wait for more")
    return unpack_code(CODE_KEY, head, data)


def test_the_packet_is_frozen() -> None:
    """It has the form of the documentation, written down here again."""
    data = struct.pack(">I", 4) + b"line" + b"bundle"
    length = struct.pack(">Q", len(data))
    tag = hmac.new(CODE_KEY, length + data, hashlib.sha256).digest()

    assert pack_code(CODE_KEY, "line", b"bundle") == b"EZCL\x06\x00" + length + tag + data
    assert (HEAD_BYTES, MAX_CODE_BYTES, CODE_SECONDS) == (46, 8 << 20, 10.0)


def test_any_code_comes_over() -> None:
    """Line and bundle are what was sent."""
    for code in (("", b""), ("höst", bytes(range(256)))):
        assert unpack(pack_code(CODE_KEY, *code)) == code


def test_each_flipped_bit_is_noticed() -> None:
    """With any one bit of the packet flipped, nothing of it is taken."""
    packed = pack_code(CODE_KEY, "line", b"bundle")
    for bit in range(8 * len(packed)):
        changed = bytearray(packed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError):
            unpack(bytes(changed))


@pytest.mark.parametrize("length", [0, 3, MAX_CODE_BYTES + 1, 2**64 - 1])
def test_lengths_are_bounded(length: int) -> None:
    """A packet that is too short or too long is refused before anything else of it is read."""
    with pytest.raises(RemoteProtocolError, match=f"has {length} bytes"):
        read_length(b"EZCL\x06\x00" + struct.pack(">Q", length) + bytes(32))


def test_the_key_follows_from_the_transcript() -> None:
    """It is HKDF-Expand of the secret of the connection, with a label of its own."""
    client = ClientHandshake(KEY, nonce=b"c" * 32, upgrade="bundle")
    server = ServerHandshake(KEY, nonce=b"s" * 32, upgrade="bundle", version="0.9.0")
    hello, challenge, *_ = (data for _, data in run(client, server).packets)
    secret = hmac.new(b"c" * 32 + b"s" * 32, KEY, "sha256").digest()
    opening = hashlib.sha256(hello + challenge).digest()

    assert client.code_key == hmac.new(secret, b"easycluster 1 upgrade" + opening + b"\1", "sha256").digest()
    assert server.code_key == client.code_key


@pytest.mark.parametrize(
    ("client", "server", "agreed"),
    [
        ({"upgrade": "bundle"}, {"upgrade": "bundle"}, False),
        ({"upgrade": "bundle"}, {"upgrade": "bundle", "version": "0.9.0"}, True),
        ({"upgrade": "bundle", "version": "0.9.0"}, {"upgrade": "bundle"}, True),
        ({"upgrade": "other,bundle"}, {"upgrade": "bundle,more", "version": "7"}, True),
        ({}, {"upgrade": "bundle", "version": "0.9.0"}, False),
        ({"upgrade": "bundle"}, {"version": "0.9.0"}, False),
        ({"upgrade": "bundles"}, {"upgrade": "bundle", "version": "0.9.0"}, False),
    ],
)
def test_when_the_code_is_sent(client: dict[str, Any], server: dict[str, Any], agreed: bool) -> None:
    """If the versions differ and both ends know how; an end that does not know it works as before."""
    ends = ClientHandshake(KEY, **client), ServerHandshake(KEY, **server)
    run(*ends)

    assert [end.code_key is not None for end in ends] == [agreed, agreed]
    assert all(end.agreement is not None for end in ends)


def test_an_objection_refuses_other_versions_alone() -> None:
    """A server that may not run other code names both versions, and what to do; equal versions connect."""
    own = ServerHandshake(KEY, b"", "it is told so", upgrade="")
    run(ClientHandshake(KEY, upgrade="bundle"), own)
    assert own.agreement is not None

    client = ClientHandshake(KEY, upgrade="bundle", version="3.2.1")
    text = (
        r"the client has EasyCluster 3\.2\.1 and the server \d+\.\d+\.\d+ \(it is told so\): install the same"
        " version at both ends"
    )
    with pytest.raises(VersionError, match=text):
        run(client, ServerHandshake(KEY, b"", "it is told so", upgrade=""))


def test_where_the_code_begins() -> None:
    """Behind the marker; what comes before it is thrown away, and a part of the marker is none."""
    assert find_start(MARKER + b"rest", MARKER) == len(MARKER)
    assert find_start(b"noise\n" + MARKER, MARKER) == 6 + len(MARKER)
    assert find_start(b"noise\nmark", MARKER) is None
    assert find_start(b"", MARKER) is None


def test_a_refusal_is_shown() -> None:
    """The text of the server is shown without control characters, once all of it is there."""
    refusal = packet(REFUSE, Hello(code="upgrade", text="no\x1b room"))
    for size in range(len(refusal)):
        assert find_start(refusal[:size], MARKER) is None
    with pytest.raises(ConnectError, match=r"the server refused the code of EasyCluster \S+: no room"):
        find_start(refusal, MARKER)


def test_noise_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says anything but the marker is not listened to for ever."""
    monkeypatch.setattr(upgrade, "_MAX_NOISE_BYTES", 10)
    assert find_start(b"x" * 10, MARKER) is None
    with pytest.raises(RemoteProtocolError, match="did not start the code"):
        find_start(b"x" * 11, MARKER)
