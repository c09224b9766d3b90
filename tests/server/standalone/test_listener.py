from __future__ import annotations

import errno
import logging
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._limits import MAX_HANDSHAKE_BYTES
from easycluster_protocol.errors import AuthenticationError, ConnectError, KeyFileError
from easycluster_server._standalone import listener as listener_module
from easycluster_server._standalone.access import Access
from easycluster_server._standalone.listener import Listener
from easycluster_server._standalone.peers import MAX_PENDING
from helpers.pair import KEY, OTHER_KEY
from helpers.waiting import PATIENCE, wait_until

Start = Callable[..., Listener]


class Spawned:
    """Stands where the fork server is: notes the connections that it is given."""

    code_objection = ""
    answers_questions = True

    def __init__(self) -> None:
        self.configs: list[dict[str, Any]] = []
        self.guardians: list[socket.socket] = []
        self.closed = False
        self.error: OSError | None = None

    def prepare(self) -> None:
        """There is nothing to do ahead."""

    def spawn(self, link: socket.socket, config: dict[str, Any], questions: socket.socket) -> None:
        """Take a connection that was proved."""
        if self.error is not None:
            raise self.error
        self.guardians.append(questions.dup())
        link.sendall(config["welcome"])
        self.configs.append(config)

    def close(self) -> None:
        """The listener has stopped."""
        self.closed = True


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawned]:
    """What becomes of proved connections."""
    spawned = Spawned()
    monkeypatch.setattr(listener_module, "WorkerStarter", lambda *_: spawned)
    yield spawned
    for guardian in spawned.guardians:
        guardian.close()


@pytest.fixture
def start(spawned: Spawned, caplog: pytest.LogCaptureFixture) -> Iterator[Start]:
    """Starts listeners in threads."""
    caplog.set_level(logging.INFO, "easycluster")
    running: list[tuple[Listener, threading.Thread]] = []

    def start(*arguments: Any, **options: Any) -> Listener:
        key = options.pop("key", KEY)
        listener = Listener(0, key, *(arguments or ("127.0.0.1",)), **options)
        thread = threading.Thread(target=listener.serve)
        thread.start()
        running.append((listener, thread))
        return listener

    yield start
    for listener, thread in running:
        listener.stop()
        thread.join()


def connect(listener: Listener, host: str = "127.0.0.1") -> socket.socket:
    """A connection on which nothing was said yet."""
    return socket.create_connection((host, listener.port), PATIENCE)


def shake_hands(listener: Listener, key: bytes = KEY, host: str = "127.0.0.1") -> ClientHandshake:
    """Prove a key; return the finished handshake."""
    with connect(listener, host) as connection:
        return shake_hands_on(connection, key)


def shake_hands_on(connection: socket.socket, key: bytes = KEY) -> ClientHandshake:
    """The same on a connection that is there."""
    handshake = ClientHandshake(key)
    while handshake.agreement is None:
        connection.sendall(handshake.data_to_send())
        data = connection.recv(MAX_HANDSHAKE_BYTES)
        if not data:
            handshake.receive_eof()
        handshake.receive_data(data)
    return handshake


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other end has closed the connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


# Who knows the key.


def test_proved_connection_is_handed_over(start: Start, spawned: Spawned) -> None:
    """A peer that proves the key gets a process, which is told the keys of the session and not the shared one."""
    listener = start(verbosity=2)
    handshake = shake_hands(listener)
    wait_until(lambda: spawned.configs)
    (config,) = spawned.configs

    assert config["agreement"].send_key == handshake.agreement.receive_key  # type: ignore[union-attr]
    assert config["agreement"].receive_key == handshake.agreement.send_key  # type: ignore[union-attr]
    assert KEY not in (config["agreement"].send_key, config["agreement"].receive_key)
    assert config["peer"].startswith("127.0.0.1:")
    assert config["verbosity"] == 2


def test_peer_that_has_reset_the_connection(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems refuse to set options of a connection that was reset before: that ends this one alone."""
    listener = start()

    def refuse(*_: Any) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "setsockopt", refuse)
        with connect(listener) as connection:
            assert is_closed(connection)
    shake_hands(listener)


def test_bytes_after_the_handshake_are_handed_over(start: Start, spawned: Spawned) -> None:
    """What a client says right after its proof is not lost."""
    listener = start()
    handshake = ClientHandshake(KEY)
    with connect(listener) as connection:
        connection.sendall(handshake.data_to_send())
        handshake.receive_data(connection.recv(MAX_HANDSHAKE_BYTES))
        connection.sendall(handshake.data_to_send() + b"the first frame")
        wait_until(lambda: spawned.configs)

    assert spawned.configs[0]["leftover"] == b"the first frame"


@pytest.mark.parametrize(
    ("verbosity", "logged"),
    [(0, []), *((number, ["HMAC-SHA256 by the shared key, not encrypted"]) for number in (1, 2))],
)
def test_connections_are_logged(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture, verbosity: int, logged: list[str]
) -> None:
    """Connections are logged from verbosity 1 on, with what protects them."""
    shake_hands(start(verbosity=verbosity))
    wait_until(lambda: spawned.configs)

    assert [re.sub(r"^connection from 127.0.0.1:\d+, ", "", each) for each in caplog.messages] == logged


def test_process_that_cannot_be_started(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture
) -> None:
    """When there is no process for a client, that is logged, the client is told so, and the listener goes on."""
    listener = start()
    spawned.error = OSError("no more processes")
    with connect(listener) as connection:
        with pytest.raises(ConnectError, match="refused .*: no process can be started for it: no more proc"):
            shake_hands_on(connection)
        assert is_closed(connection)
    spawned.error = None
    shake_hands(listener)
    wait_until(lambda: spawned.configs)

    (message,) = caplog.messages
    assert message.endswith("no process can be started for it: no more processes")


# Who does not.


STRANGERS = {
    "wrong key": (None, "the key is not the one of this server"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "the peer speaks HTTP"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", "the peer is an ssh server"),
    "old EasyCluster": (b"\x01\x00\x00\x00\x10" + bytes(16), r"the peer is a published EasyCluster \(0.x\)"),
    "noise": (b"\x16\x03\x01\x02\x00", "does not speak the protocol of EasyCluster: it sent b'.x16"),
    "too large": (struct.pack(">4sBBH", b"EZCL", 1, 0, MAX_HANDSHAKE_BYTES), "too large or illegal"),
    "nothing": (b"", "it left during the handshake"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_are_refused(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture, stranger: str
) -> None:
    """Who does not prove the key is named in the log, and gets no process."""
    said, reason = STRANGERS[stranger]
    listener = start()
    if said is None:
        with pytest.raises(AuthenticationError):
            shake_hands(listener, OTHER_KEY)
    else:
        with connect(listener) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            assert is_closed(connection)
    wait_until(lambda: caplog.messages)

    assert re.fullmatch(rf"connection from 127\.0\.0\.1:\d+ refused: .*{reason}.*", caplog.messages[0])
    assert len(caplog.messages) == 1
    assert not spawned.configs
    assert KEY.hex() not in caplog.text
    assert repr(KEY)[2:-1] not in caplog.text


def test_peer_that_is_reset(start: Start, spawned: Spawned) -> None:
    """Peers that end their connection by a reset, at once or in the middle, disturb nobody."""
    listener = start()
    for said in (b"", b"EZCL"):
        connection = connect(listener)
        connection.sendall(said)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    shake_hands(listener)

    wait_until(lambda: spawned.configs)


def test_silent_peers_are_dropped_in_time(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that has not proved the key in time is dropped, one that says a little now and then too."""
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.2)
    listener = start()
    with connect(listener) as silent, connect(listener) as slow:
        slow.sendall(b"EZ")
        assert is_closed(silent)
        assert is_closed(slow)
    monkeypatch.undo()
    shake_hands(listener)

    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "no proof of the key within 0 s"
    ] * 2


def test_number_of_strangers_is_bounded(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture
) -> None:
    """When more peers than there may be are silent, the oldest is dropped; who knows the key gets in."""
    listener = start()
    silent = [connect(listener) for _ in range(MAX_PENDING)]
    wait_until(lambda: len(listener._peers) == MAX_PENDING)
    shake_hands(listener)
    wait_until(lambda: spawned.configs)
    first_is_closed = is_closed(silent[0])
    left = len(listener._peers)
    for connection in silent:
        connection.close()

    assert first_is_closed
    assert left == MAX_PENDING - 1
    assert caplog.messages[0].endswith("too many peers are in their handshake")


def test_distant_client_under_a_flood(start: Start, spawned: Spawned) -> None:
    """A client whose answers take long gets in, however many strangers come between its packets."""
    listener = start()
    strangers: list[socket.socket] = []

    def flood() -> None:
        strangers.extend(connect(listener) for _ in range(3 * MAX_PENDING))
        assert is_closed(strangers[-2 * MAX_PENDING])  # so all before it were dealt with

    client = ClientHandshake(KEY)
    with connect(listener) as connection:
        connection.sendall(client.data_to_send())
        client.receive_data(connection.recv(MAX_HANDSHAKE_BYTES))
        flood()
        connection.sendall(client.data_to_send())
        client.receive_data(connection.recv(MAX_HANDSHAKE_BYTES))
    for each in strangers:
        each.close()

    assert client.agreement is not None
    wait_until(lambda: len(spawned.configs) == 1)


def test_several_keys(start: Start, spawned: Spawned) -> None:
    """The holder of any of several keys gets in, and other keys take their place while the server runs."""
    listener = start(key=[KEY, OTHER_KEY])
    for key in (KEY, OTHER_KEY):
        shake_hands(listener, key)
    done = threading.Event()
    listener.run_soon(lambda: listener.set_access(Access(OTHER_KEY)))
    listener.run_soon(done.set)
    assert done.wait(PATIENCE)
    shake_hands(listener, OTHER_KEY)
    with pytest.raises(AuthenticationError):
        shake_hands(listener, KEY)

    assert len(spawned.configs) == 3


@pytest.mark.parametrize(
    "other", [{"key": OTHER_KEY}, {"key": KEY, "deny": ["127.0.0.0/8"]}], ids=["key", "network"]
)
def test_handshakes_under_way(other: Any, start: Start, spawned: Spawned) -> None:
    """Keys and networks that are taken back let nobody in who is in the middle of the handshake; new keys do."""
    listener = start()
    client = ClientHandshake(KEY)
    with connect(listener) as connection, connect(listener) as silent:
        connection.sendall(client.data_to_send())
        client.receive_data(connection.recv(MAX_HANDSHAKE_BYTES))
        done = threading.Event()
        listener.run_soon(lambda: listener.set_access(Access(**other)))
        listener.run_soon(done.set)
        assert done.wait(PATIENCE)
        if "deny" in other:
            assert is_closed(silent)
            assert is_closed(connection)
        else:
            connection.sendall(client.data_to_send())
            with pytest.raises(AuthenticationError):
                client.receive_data(connection.recv(MAX_HANDSHAKE_BYTES))
            newer = ClientHandshake(OTHER_KEY)
            silent.sendall(newer.data_to_send())
            newer.receive_data(silent.recv(MAX_HANDSHAKE_BYTES))
            silent.sendall(newer.data_to_send())
            wait_until(lambda: len(spawned.configs) == 1)

    assert len(spawned.configs) == ("deny" not in other)


def test_tasks_that_fail(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails is logged, and the server goes on."""
    listener = start()

    def fail() -> None:
        raise OSError("no such file")

    listener.run_soon(fail)
    wait_until(lambda: caplog.messages)
    shake_hands(listener)

    assert caplog.messages[0] == "no such file"


def test_log_of_a_flood(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Any number of strangers makes a few lines."""
    listener = start()
    for _ in range(100):
        with connect(listener) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert is_closed(connection)
    listener.stop()
    wait_until(lambda: "more peers were refused" in caplog.text)

    assert len(caplog.messages) == 6


def test_little_is_held_for_a_stranger(start: Start) -> None:
    """However much a peer sends in small pieces, no more than 4 KiB of it are held."""
    listener = start()
    packet = struct.pack(">4sBBH", b"EZCL", 1, 0, MAX_HANDSHAKE_BYTES - 8)
    with connect(listener) as connection:
        connection.sendall(packet)
        for _ in range(MAX_HANDSHAKE_BYTES - 9 - len(packet)):
            connection.sendall(b"x")
        wait_until(lambda: listener._peers)
        (peer,) = listener._peers.list_all()
        wait_until(lambda: len(peer.handshake._buffer) == MAX_HANDSHAKE_BYTES - 9)
        connection.sendall(bytes(100_000))
        assert is_closed(connection)

    assert len(peer.handshake._buffer) < 2 * MAX_HANDSHAKE_BYTES


# Addresses.


@pytest.mark.parametrize(
    ("allow", "admitted"),
    [
        ([], True),
        (["127.0.0.0/8"], True),
        (["127.0.0.1"], True),
        (["192.0.2.0/24", "127.0.0.1/32"], True),
        (["192.0.2.0/24"], False),
        (["::1"], False),
    ],
)
def test_allowed_networks(
    start: Start, spawned: Spawned, caplog: pytest.LogCaptureFixture, allow: list[str], admitted: bool
) -> None:
    """Only peers from allowed networks may even begin the handshake."""
    listener = start("127.0.0.1", allow)
    if admitted:
        shake_hands(listener)
        wait_until(lambda: spawned.configs)
        assert not caplog.messages
    else:
        with pytest.raises((ConnectError, ConnectionResetError)):
            shake_hands(listener)
        wait_until(lambda: caplog.messages)
        assert caplog.messages[0].endswith("refused: not in an allowed network")


@pytest.mark.parametrize(
    ("bindaddr", "disable_ipv6", "families"),
    [
        (None, False, ["0.0.0.0", "[::]"]),
        (None, True, ["0.0.0.0"]),
        ("127.0.0.1", False, ["127.0.0.1"]),
        ("::1", False, ["[::1]"]),
    ],
)
def test_families(
    start: Start, spawned: Spawned, bindaddr: str | None, disable_ipv6: bool, families: list[str]
) -> None:
    """Without an address both families are listened on, on the same port."""
    listener = start(bindaddr, (), 0, disable_ipv6)
    for family in families:
        shake_hands(listener, host="127.0.0.1" if "." in family else "::1")
    wait_until(lambda: len(spawned.configs) == len(families))

    assert listener.addresses == [f"{family}:{listener.port}" for family in families]


def test_port_that_is_taken(start: Start) -> None:
    """A port in use is one error that names address and port, and nothing stays open."""
    listener = start()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1 {listener.port}: Address already"):
        Listener(listener.port, KEY, "127.0.0.1")

    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("error", "named", "options"),
    [
        (KeyFileError, "key", {"key": b"short"}),
        (ValueError, "192.0.2.0/99", {"allow": ["192.0.2.0/99"]}),
        (OSError, "cannot listen on 192.0.2.1 0: ", {"bindaddr": "192.0.2.1"}),
        (OSError, "cannot listen on no.such.host.invalid: ", {"bindaddr": "no.such.host.invalid"}),
    ],
)
def test_what_cannot_be_listened_with(error: type[Exception], named: str, options: dict[str, Any]) -> None:
    """Wrong arguments raise at once, and nothing stays open."""
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(error, match=named):
        Listener(**{"port": 0, "key": KEY, **options})

    assert set(os.listdir("/proc/self/fd")) == before


# The end.


def test_stop(spawned: Spawned) -> None:
    """A listener that is stopped closes everything; stopping it again does nothing."""
    listener = Listener(0, KEY, "127.0.0.1")
    thread = threading.Thread(target=listener.serve)
    thread.start()
    with connect(listener) as connection:
        wait_until(lambda: listener._peers)
        listener.stop()
        thread.join()
        assert is_closed(connection)
    listener.stop()

    assert spawned.closed
    with pytest.raises(ConnectionRefusedError):
        connect(listener)
