"""docs/protocol.md says what the code does, and says enough to talk to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol import _limits as limits
from easycluster_protocol._handshake import hello as hello_module
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import FIELDS
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._values.failures import pack_exception
from easycluster_protocol._wire import frames, messages as m
from easycluster_protocol._wire.link import CLIENT, CLOSED, OPEN, SERVER, TRANSITIONS, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.keys import decode_key
from easycluster_server._serving.operations import Operations
from helpers.pair import KEY, SESSION_NAME, receive

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
PACKETS = {"HELLO": 1, "CHALLENGE": 2, "PROOF": 3, "WELCOME": 4, "REFUSE": 5}


def rows(first_cell: str, section: str = "") -> list[list[str]]:
    """The rows of the table whose head begins with this cell, in the section of this heading."""
    text = DOCUMENT[DOCUMENT.index(f"# {section}") :] if section else DOCUMENT
    (table, *_) = re.findall(rf"^\| {re.escape(first_cell)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def hex_block(name: str) -> bytes:
    """The bytes of an example; what stands after # is a comment."""
    (block,) = re.findall(rf"^```hex {name}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    return bytes.fromhex(re.sub(r"#.*", "", block))


def recorded(name: str) -> dict[str, Any]:
    """A recorded handshake."""
    path = ROOT / "tests" / "data" / "handshake" / f"{name}.json"
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


# The tables.


def test_fields() -> None:
    """The document lists every field of the handshake with its tag and form."""
    listed = {int(tag): (name, form) for tag, name, form, _ in rows("tag")}

    assert listed == {tag: (name, form) for tag, (name, form, _) in FIELDS.items()}


def test_packet_types() -> None:
    """The document lists every type of packet."""
    (line,) = (meaning for offset, _, meaning in rows("offset", "Packets") if offset == "4")

    assert re.findall(r"(\d) (\w+)", line) == [(str(number), name) for name, number in PACKETS.items()]
    assert all(getattr(hello_module, name) == number for name, number in PACKETS.items())


def test_frames() -> None:
    """The document lists every kind of frame."""
    assert {int(kind): name for kind, name, _ in rows("kind", "Frames")} == frames.KIND_NAMES


def test_messages() -> None:
    """The document lists every kind of message, and which end says it."""
    listed = {int(kind): (name, sender) for kind, name, sender, *_ in rows("kind", "Messages")}
    senders = {
        kind: [role for role in (CLIENT, SERVER) if kind in TRANSITIONS[role][OPEN]] for kind in m.KIND_NAMES
    }

    assert listed == {
        kind: (name, "both" if len(senders[kind]) == 2 else senders[kind][0])
        for kind, name in m.KIND_NAMES.items()
    }


def test_envelope() -> None:
    """The offsets and sizes of the envelope are those of the code."""
    sizes = [(int(offset), int(size)) for offset, size, _ in rows("offset", "Messages") if size.isdigit()]

    assert [offset for offset, _ in sizes] == [0, 1, 4, 8, 12, 16, 24, 32]
    assert all(offset + size == after for (offset, size), (after, _) in zip(sizes, sizes[1:], strict=False))
    assert sum(sizes[-1]) == m.HEAD_SIZE


def test_states() -> None:
    """The table of states says who may say what."""
    for state, client, server, after in rows("state", "States"):
        for role, cell in ((CLIENT, client), (SERVER, server)):
            kinds = {kind for kind, name in m.KIND_NAMES.items() if name in cell.split()}
            assert kinds == {kind for kind, then in TRANSITIONS[role][state].items() if then == after}
    assert {after for *_, after in rows("state", "States")} == {OPEN, CLOSED, ""}


def test_states_of_the_handshake() -> None:
    """The tables of states of the handshake say which packet may come when, and which state is next."""
    for end, section in (
        (ClientHandshake, "Handshake of the client"),
        (ServerHandshake, "Handshake of the server"),
    ):
        text = DOCUMENT[DOCUMENT.index(section) :].split("\n\n")[1]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
        states = [re.sub(r" \(.*", "", state) for state, *_ in cells]
        named = [state for state in states if state != "any of these"]
        listed = {
            (state, PACKETS[packet]): then.rpartition("; ")[2]
            for row, (_, packet, then) in zip(states, cells, strict=True)
            for state in (named if row == "any of these" else [row])
        }

        assert listed == {key: after for key, (_, after) in end.TRANSITIONS.items()}


def test_limits() -> None:
    """The limits are those of the code."""
    numbers = [int(re.sub(r"\D", "", limit)) for _, limit in rows("what", "Limits")]

    assert numbers == [
        limits.MAX_FRAME_BYTES,
        limits.MAX_HANDSHAKE_BYTES,
        limits.HANDSHAKE_SECONDS,
        limits.MAX_STREAMS,
        limits.MAX_TABLE_ENTRIES,
        limits.SMALL_MESSAGE_BYTES,
    ]
    for number in (limits.COMPRESS_FROM_BYTES, limits.MAX_TABLE_ENTRIES, limits.MAX_STREAMS):
        assert f" {number} " in DOCUMENT
    assert f"{limits.OUT_OF_BAND_BYTES // 1024} KiB in EasyCluster" in DOCUMENT.replace("\n", " ")


def test_failures() -> None:
    """The document lists what a FAILURE holds."""
    (link,) = pickle.loads(pack_exception(ValueError("no"), 5))

    assert [name for name, _ in rows("name", "Failures")] == list(link)


def test_operations_of_object_0() -> None:
    """The document lists the methods of object 0."""
    (text,) = re.findall(r"Object 0 always exists; its methods are (.*?)\.\n", DOCUMENT, re.DOTALL)

    assert set(re.findall(r"(\w+)\(", text)) == Operations.NAMES


def test_key_of_a_text() -> None:
    """The key of the example is what the code makes of its text."""
    assert f"`{decode_key('s3cret').hex()}`" in DOCUMENT


# The examples.


@pytest.mark.parametrize("kind", ["keyed", "private"])
def test_packets_byte_by_byte(kind: str) -> None:
    """The handshakes of the document are the recorded ones."""
    packets = {packet["type"]: packet["hex"] for packet in recorded(kind)["packets"]}
    documented = re.findall(rf"^```hex {kind} (HELLO|CHALLENGE|PROOF|WELCOME)$", DOCUMENT, re.MULTILINE)

    assert {name: hex_block(f"{kind} {name}").hex() for name in documented} == packets


def test_frames_byte_by_byte() -> None:
    """The frames of the document are the recorded ones."""
    first, second, *_ = recorded("keyed")["frames"]

    assert [hex_block("keyed PING").hex(), hex_block("keyed PONG").hex()] == [first["hex"], second["hex"]]


def test_comments_of_examples() -> None:
    """The comments of the examples name the fields that stand beside them."""
    blocks = re.findall(
        r"^```hex \w+ (HELLO|CHALLENGE|PROOF|WELCOME)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL
    )
    for packet, block in blocks:
        comments = re.findall(r"^([0-9a-f ]+)# (\d+) (\w+): ", block, re.MULTILINE)

        assert comments, packet
        for data, tag, name in comments:
            assert bytes.fromhex(data)[0] == int(tag)
            assert FIELDS[int(tag)][0] == name


def test_values_between() -> None:
    """The values of the key schedule of the document follow from its packets and its key."""
    hello, challenge = hex_block("keyed HELLO"), hex_block("keyed CHALLENGE")
    listed = {name: value.strip("`") for name, value in rows("value", "A keyed handshake")}
    client = Foreign(KEY, fields(hello)[10])
    client.follow(hello, challenge)

    assert listed.pop("secret") == client.secret.hex()
    assert listed.pop("opening") == client.opening.hex()
    assert listed == {
        f'expand("{label}")': client.expand(label).hex() for label in re.findall(r'"(.*?)"', str(listed))
    }
    assert len(listed) == 4


# A client that was written from the document alone, with the standard library.


def fields(packet: bytes) -> dict[int, bytes]:
    """The fields of a packet."""
    found, rest = {}, packet[8:]
    while rest:
        tag, length = struct.unpack_from(">BH", rest)
        found[tag] = rest[3 : 3 + length]
        rest = rest[3 + length :]
    return found


def make_packet(kind: int, values: dict[int, bytes]) -> bytes:
    """A packet with these fields."""
    payload = b"".join(struct.pack(">BH", tag, len(value)) + value for tag, value in values.items())
    return b"EZCL" + struct.pack(">BBH", kind, 0, len(payload)) + payload


def sign(key: bytes, data: bytes) -> bytes:
    """HMAC, as the document calls it."""
    return hmac.new(key, data, hashlib.sha256).digest()


class Foreign:
    """A client that knows nothing but the document."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self.key = key
        self.hello = make_packet(
            1, {10: nonce, 11: sign(key, b"easycluster 1 key id")[:8], 99: b"from the future"}
        )
        self.sent = self.received = 0

    def follow(self, hello: bytes, challenge: bytes) -> None:
        """Derive everything from the first two packets."""
        self.secret = sign(fields(hello)[10] + fields(challenge)[10], self.key)
        self.transcript = hello + challenge
        self.opening = hashlib.sha256(self.transcript).digest()

    def expand(self, label: str) -> bytes:
        """A key for one purpose."""
        return sign(self.secret, label.encode() + self.opening + b"\1")

    def prove(self) -> bytes:
        """The packet PROOF."""
        proof = make_packet(3, {21: sign(self.expand("easycluster 1 client proof"), self.transcript)})
        self.transcript += proof
        return proof

    def accepts(self, welcome: bytes) -> bool:
        """Whether the server proved the key."""
        found = fields(welcome)
        return found[21] == sign(self.expand("easycluster 1 server proof"), self.transcript + found[17])

    def frame(self, kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
        """A frame to the server."""
        header = struct.pack(">BBHII", kind, flags, 0, stream, len(payload))
        header += struct.pack(">I", zlib.crc32(header))
        tag = sign(self.expand("easycluster 1 to server"), struct.pack(">Q", self.sent) + header + payload)[
            :16
        ]
        self.sent += 1
        return header + tag + payload

    def read(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """Kind, stream and payload of the frames of the server."""
        found = []
        while data:
            header, tag, rest = data[:16], data[16:32], data[32:]
            kind, flags, zero, stream, length, check = struct.unpack(">BBHIII", header)
            assert (zero, check) == (0, zlib.crc32(header[:12]))
            payload, data = rest[:length], rest[length:]
            key = self.expand("easycluster 1 to client")
            assert tag == sign(key, struct.pack(">Q", self.received) + header + payload)[:16]
            self.received += 1
            found.append((kind, stream, zlib.decompress(payload) if flags else payload))
        return found


def envelope(
    kind: int, request: int, body: int, buffers: list[int], releases: list[tuple[int, int]]
) -> bytes:
    """An envelope to the main thread."""
    head = struct.pack(">BxxxIIIqQQ", kind, 0, len(releases), len(buffers), 0, request, body)
    head += b"".join(struct.pack(">QI", *release) for release in releases)
    return head + struct.pack(f">{len(buffers)}Q", *buffers)


def connected() -> tuple[Foreign, Link]:
    """A foreign client that has connected to our server."""
    client, server = Foreign(KEY, b"f" * 32), ServerHandshake(KEY, SESSION_NAME)
    server.receive_data(client.hello)
    client.follow(client.hello, server.data_to_send())
    server.receive_data(client.prove())
    assert client.accepts(server.data_to_send())
    assert server.agreement is not None
    return client, Link(SERVER, server.agreement)


def test_a_foreign_client_is_understood() -> None:
    """A client that was written from the document opens a session, and every kind of its frames is understood."""
    client, server = connected()
    body, buffer = pickle.dumps(("f", (1,), {})), b"b" * 1000
    wire = b"".join(
        [
            client.frame(1, 0, envelope(1, 1, len(body), [], [(5, 2)]) + body),
            client.frame(2, 9, envelope(1, 2, len(body), [0, 1000], [])),
            client.frame(3, 9, body[:5]),
            client.frame(1, 0, envelope(8, 7, 0, [], []) * 2),
            client.frame(2, 4, envelope(1, 3, 10, [], [])),
            client.frame(4, 4, b""),
            client.frame(3, 9, body[5:]),
            client.frame(3, 9, buffer),
            client.frame(1, 0, envelope(11, 0, 0, [], [])),
        ]
    )

    assert receive(server, wire, [11]) == [
        Message(m.CALL, 1, body, releases=[(5, 2)]),
        Message(m.PING, 7),
        Message(m.PING, 7),
        Message(m.CALL, 2, body, 0, [b"", buffer]),
        Message(m.CLOSE),
    ]
    assert server.receive_eof()[0] is True


def test_a_foreign_client_understands() -> None:
    """A client that was written from the document understands the messages of our server."""
    client, server = connected()
    wire = server.data_to_send(Message(m.PONG, 7))
    wire += server.data_to_send(Message(m.RESULT, 1, b"body", 0, [b"buffer"]))

    pong, begin, body, buffer = client.read(wire)

    assert pong == (1, 0, envelope(9, 7, 0, [], []))
    assert begin == (2, 1, envelope(3, 1, 4, [6], []))
    assert (body, buffer) == ((3, 1, b"body"), (3, 1, b"buffer"))


def test_a_compressed_foreign_client() -> None:
    """The document says enough about compression."""
    client, server = Foreign(KEY, b"f" * 32), ServerHandshake(KEY, SESSION_NAME)
    client.hello = make_packet(1, {**fields(client.hello), 8: b"zstd,zlib", 14: struct.pack(">Q", 1)})
    server.receive_data(client.hello)
    client.follow(client.hello, server.data_to_send())
    server.receive_data(client.prove())
    assert server.agreement is not None
    link = Link(SERVER, server.agreement)
    body = bytes(5000)

    wire = client.frame(1, 0, zlib.compress(envelope(1, 1, 5000, [], []) + body), flags=1)

    assert receive(link, wire) == [Message(m.CALL, 1, body)]
    assert client.read(link.data_to_send(Message(m.RESULT, 1, body))) == [
        (1, 0, envelope(3, 1, 5000, [], []) + body)
    ]
