"""The handshake is frozen: recorded ones must come out the same for ever, byte by byte.

tests/data/handshake/*.json hold handshakes with fixed nonces, a fixed key and fixed descriptions of both
ends, the keys that follow, and the first frames. docs/protocol.md shows two of them. When a *new* transcript
is needed, add it to `SCENARIOS` and run, from the root of the checkout::

    PYTHONPATH=tests .venv/bin/python -m protocol.handshake.test_handshake_transcripts

which writes what is missing. It never replaces a file: one that does not fit any more means that peers of
other versions cannot connect any more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from easycluster_protocol._handshake import hello
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.handshake import Handshake
from easycluster_protocol._handshake.hello import Agreement
from easycluster_protocol._handshake.hello_parser import parse_hello
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._handshake.upgrade import HEAD_BYTES, pack_code, read_length, unpack_code
from easycluster_protocol._wire import messages as m, streams
from easycluster_protocol._wire.link import CLIENT, SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectError, ProtocolError
from helpers.pair import KEY, OTHER_KEY, SESSION_NAME, Carrier, pieces, receive

FOLDER = Path(__file__).parents[2] / "data" / "handshake"

PACKET_NAMES = {1: "HELLO", 2: "CHALLENGE", 3: "PROOF", 4: "WELCOME", 5: "REFUSE"}

#: How the two ends describe themselves. None of it is about this machine.
DESCRIPTION: dict[str, Any] = {
    "protocol_low": 1,
    "protocol_high": 1,
    "version": "1.0.0",
    "python": "3.12.1",
    "implementation": "cpython",
    "byteorder": "little",
    "pickle_protocol": 5,
    "codecs": "zlib",
    "capabilities": "",
    "platform": "linux",
}

EVERYTHING: dict[str, Any] = {
    "capabilities": "stacks,cancel",
    "tls": 1,
    "upgrade": "bundle 1.2.3",
    "credit": 1 << 20,
    "purpose": 1,
    "session": b"which session",
    "host": "höst",
    "process": 4711,
}

SCENARIOS: dict[str, dict[str, Any]] = {
    "private": {"key": None},
    "keyed": {"key": KEY},
    "keyed-compressed": {"key": KEY, "client": {"compress": 1}},
    "keyed-everything": {"key": KEY, "client": EVERYTHING, "server": {**EVERYTHING, "tls": 2}},
    "keyed-upgrade": {
        "key": KEY,
        "client": {"upgrade": "bundle"},
        "server": {"upgrade": "bundle", "version": "0.9.0"},
    },
    "refused-key": {"key": KEY, "client_key": OTHER_KEY},
    "refused-upgrade": {
        "key": KEY,
        "client": {"upgrade": "bundle"},
        "server": {"upgrade": "", "version": "0.9.0", "code_objection": "it was started with --no-upgrade"},
    },
    "refused-version": {"key": KEY, "client": {"protocol_low": 2, "protocol_high": 3, "version": "2.0.0"}},
}

#: The line and the bundle of a client's code; both ends have to carry any.
CODE = ("print('höst')", b"any bundle")

NAMES = sorted(SCENARIOS)


def first_messages() -> list[tuple[str, Message]]:
    """The first messages of the two ends, with their senders."""
    return [
        (CLIENT, Message(m.PING, 7)),
        (SERVER, Message(m.PONG, 7)),
        (CLIENT, Message(m.CALL, 1, b"any pickle", -2, references=[5], releases=[(9, 3)])),
        (SERVER, Message(m.RESULT, 1, b"12345678" * 128, -2, [b"a buffer", b""])),
        (CLIENT, Message(m.CLOSE, 0, b"bye")),
    ]


def make_ends(name: str) -> tuple[ClientHandshake, ServerHandshake]:
    """The two ends of a scenario; what they say does not depend on chance or on this machine."""
    scenario = SCENARIOS[name]
    client_fields = {**DESCRIPTION, **scenario.get("client", {})}
    server_fields = {**DESCRIPTION, **scenario.get("server", {})}
    if scenario["key"] is not None:
        client_fields["nonce"] = bytes(range(0x20, 0x40))
        server_fields["nonce"] = bytes(range(0x40, 0x60))
        server_fields.pop("session", None)
    client_key = scenario.get("client_key", scenario["key"])
    compress = bool(client_fields.pop("compress", 0))
    return (
        ClientHandshake(client_key, compress, **client_fields),
        ServerHandshake(scenario["key"], SESSION_NAME, **server_fields),
    )


def links(client: Agreement, server: Agreement) -> dict[str, Link]:
    """The two links of a finished handshake."""
    return {CLIENT: Link(CLIENT, client), SERVER: Link(SERVER, server)}


def play(name: str) -> dict[str, Any]:
    """Play a scenario, and return all that a file records of it."""
    client, server = make_ends(name)
    carrier = Carrier(client, server)
    key = SCENARIOS[name]["key"]
    record: dict[str, Any] = {"key": None if key is None else key.hex()}
    try:
        carrier.run()
    except ConnectError as error:
        record["error"] = type(error).__name__
    record["packets"] = [
        {"from": sender, "type": PACKET_NAMES[data[4]], "hex": data.hex()} for sender, data in carrier.packets
    ]
    if client.agreement is not None and server.agreement is not None:
        record["compress"] = client.agreement.compress
        if client.code_key is not None:
            record["code"] = pack_code(client.code_key, *CODE).hex()
        if key is not None:
            record["to_server"] = (client.agreement.send_key or b"").hex()
            record["to_client"] = (client.agreement.receive_key or b"").hex()
        ends = links(client.agreement, server.agreement)
        record["frames"] = [
            {"from": role, "message": repr(message), "hex": ends[role].data_to_send(message).hex()}
            for role, message in first_messages()
        ]
    return record


def frozen(record: dict[str, Any]) -> dict[str, Any]:
    """The part that must not change: all but the text and version of a refusal, and the output of some release of
    zlib, which is the large RESULT where it is compressed."""
    packets = [dict(packet) for packet in record["packets"]]
    for packet in packets:
        if packet["type"] == "REFUSE":
            packet["hex"] = parse_hello(bytes.fromhex(packet["hex"])[8:]).code
    frames = record.get("frames", [])
    if record.get("compress"):
        frames = [frame for frame in frames if not frame["message"].startswith("<RESULT")]
    return {**record, "packets": packets, "frames": frames}


def load(name: str) -> dict[str, Any]:
    """The recorded handshake."""
    record: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return record


def test_every_file_is_tested() -> None:
    """Every recorded handshake is one of the scenarios, and every scenario is recorded."""
    assert sorted(path.stem for path in FOLDER.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_both_ends_say_what_was_recorded(name: str) -> None:
    """With the same nonces and key, both ends say and come to what they did when the format was frozen."""
    assert frozen(play(name)) == frozen(load(name))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("keyed")])
@pytest.mark.parametrize("role", [CLIENT, SERVER])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_recorded_peers_are_understood(name: str, role: str, size: int) -> None:
    """An end of today opens a session with a recorded peer, and understands its frames."""
    record = load(name)
    end: Handshake = make_ends(name)[role == SERVER]
    for packet in record["packets"]:
        if packet["from"] != role:
            for piece in pieces(bytes.fromhex(packet["hex"]), [size]):
                end.receive_data(piece)

    assert end.agreement is not None
    keys = {
        CLIENT: (end.agreement.send_key or b"").hex(),
        SERVER: (end.agreement.receive_key or b"").hex(),
    }
    assert keys[role] == record["to_server"]
    link = Link(role, end.agreement)
    data = b"".join(bytes.fromhex(frame["hex"]) for frame in record["frames"] if frame["from"] != role)
    assert receive(link, data, [size]) == [message for sender, message in first_messages() if sender != role]


def test_a_recorded_code_is_understood() -> None:
    """A server of today takes the code of a recorded client, and a client of today knows when to send it."""
    record = load("keyed-upgrade")
    client, server = make_ends("keyed-upgrade")
    for packet in record["packets"]:
        receiver = server if packet["from"] == CLIENT else client
        receiver.receive_data(bytes.fromhex(packet["hex"]))
    packed = bytes.fromhex(record["code"])
    head, data = packed[:HEAD_BYTES], packed[HEAD_BYTES:]

    assert read_length(head) == len(data)
    assert server.code_key is not None
    assert unpack_code(server.code_key, head, data) == CODE
    assert client.code_key == server.code_key


def allocate_little(size: int, sparing: bool = False) -> memoryview:
    """Stands for the memory of a small machine."""
    if size > 1 << 20:
        raise MemoryError
    return memoryview(bytearray(size))


@pytest.mark.parametrize("name", ["keyed", "private"])
@pytest.mark.parametrize("role", [CLIENT, SERVER])
def test_recorded_frames_with_a_flipped_bit(name: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any one bit of the recorded frames flipped, a keyed link delivers nothing that was not said; a
    private one never raises anything but its error."""
    monkeypatch.setattr(streams, "allocate", allocate_little)  # a length with a flipped bit may be huge
    record = load(name)
    client, server = make_ends(name)
    Carrier(client, server).run()
    end = server if role == CLIENT else client
    said = [message for sender, message in first_messages() if sender == role]
    data = b"".join(bytes.fromhex(frame["hex"]) for frame in record["frames"] if frame["from"] == role)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert end.agreement is not None
        link = Link(SERVER if role == CLIENT else CLIENT, end.agreement)
        found = []
        try:
            link.receive_data(bytes(changed))
            while (message := link.receiver.next_message()) is not None:
                found.append(message)
                link.receiver.advance()
        except ProtocolError:
            pass
        if name == "keyed":
            assert found == said[: len(found)]
            assert len(found) < len(said)


def test_packet_types_are_frozen() -> None:
    """Every type of packet has the number that it was published with."""
    assert {number: getattr(hello, kind) for number, kind in PACKET_NAMES.items()} == {
        number: number for number in PACKET_NAMES
    }


def write_missing() -> None:
    """Record the scenarios that have no file yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = FOLDER / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(play(name), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_missing()
