"""Connecting over TCP, and over a connected socket: handshakes, options of the socket, failures."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._address import Address
from easycluster_client._connect import tcp
from easycluster_client._connect.connected import OpenConnection
from easycluster_client._connect.dial import dial
from easycluster_client._connect.tcp import connect_socket, connect_tcp
from easycluster_protocol._handshake.server import ServerHandshake
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.link import SERVER, Link
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import AuthenticationError, ConnectError, KeyFileError
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.transport import SocketTransport
from helpers.clocks import Clock
from helpers.pair import KEY, OTHER_KEY, receive
from helpers.waiting import PATIENCE


class Peer(threading.Thread):
    """The server's end of a handshake.

    Args:
        key: see `ServerHandshake`.
        connect: returns the connection.

    Attributes:
        connection: that connection, once it is there.
    """

    def __init__(self, key: bytes | None, connect: Callable[[], socket.socket]) -> None:
        super().__init__(daemon=True)
        self._key = key
        self._connect = connect
        self._outcome: Any = None
        self.connection: socket.socket | None = None
        self.start()

    def run(self) -> None:
        self.connection = self._connect()
        self.connection.settimeout(PATIENCE)
        handshake = ServerHandshake(self._key)
        transport = SocketTransport(self.connection)
        try:
            self._outcome = shake_hands(handshake, transport, SERVER)
        except OSError as error:
            self._outcome = error
            if refusal := handshake.data_to_send():
                self.connection.sendall(refusal)

    def result(self) -> Any:
        """Wait for the end; return the link, or the error."""
        self.join(PATIENCE)
        assert not self.is_alive()
        return self._outcome

    def receive(self) -> bytes:
        """Receive once, after the handshake."""
        self.result()
        assert self.connection is not None
        assert select.select([self.connection], [], [], PATIENCE)[0]
        return self.connection.recv(1000)


class Listener:
    """A listening socket.

    Attributes:
        address: the address at which it listens, with a key.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self._peers: list[Peer] = []
        port = self._socket.getsockname()[1]
        self.address = Address(KEY, "127.0.0.1", port, None, None, None, (), False, 5.0)

    def serve(self, key: bytes = KEY) -> Peer:
        """Accept one connection and run a handshake over it."""
        self._peers.append(Peer(key, lambda: self._socket.accept()[0]))
        return self._peers[-1]

    def close(self) -> None:
        """Close everything."""
        for peer in self._peers:
            peer.join(PATIENCE)
            if peer.connection is not None:
                peer.connection.close()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listening socket at which nobody accepts unless it is told to."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that were connected."""
    found: list[socket.socket] = []

    def note(*arguments: Any) -> socket.socket:
        found.append(dial(*arguments))
        return found[-1]

    monkeypatch.setattr(tcp, "dial", note)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the deadlines."""
    clock = Clock()
    monkeypatch.setattr(_deadlines, "time", clock)
    monkeypatch.setattr(_deadlines, "wait", clock.wait)
    return clock


def are_linked(connection: OpenConnection, link: Link) -> bool:
    """Whether a message of one end is understood at the other."""
    return receive(link, connection.link.data_to_send(Message(m.PING, 5))) == [Message(m.PING, 5)]


# Over TCP.


def test_connection(listener: Listener) -> None:
    """The handshake with the key is done, and the connection has its server's name and no bare host."""
    peer = listener.serve()
    connection = connect_tcp(listener.address)

    assert are_linked(connection, peer.result())
    assert connection.peername == listener.address.peername
    assert not connection.is_bare
    assert not connection.link.agreement.compress
    connection.finish()


def test_compression(listener: Listener) -> None:
    """The wish of the address for compression reaches the server."""
    peer = listener.serve()
    connection = connect_tcp(listener.address._replace(compress=True))

    assert connection.link.agreement.compress
    assert are_linked(connection, peer.result())
    connection.finish()


def test_options_of_the_socket(listener: Listener) -> None:
    """Small messages are sent at once, dead peers are noticed, and the death of this process resets."""
    listener.serve()
    connection = connect_tcp(listener.address)
    options = connection.transport.socket

    assert options.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    assert options.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    assert options.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    assert options.gettimeout() is None
    connection.finish()


def test_orderly_end(listener: Listener) -> None:
    """A connection that is finished ends in order, not with a reset."""
    peer = listener.serve()
    connect_tcp(listener.address).finish()

    assert peer.receive() == b""


def test_end_without_order(listener: Listener) -> None:
    """A descriptor that is closed in another way, as when this process dies, resets the connection."""
    peer = listener.serve()
    connection = connect_tcp(listener.address)
    peer.result()
    connection.transport.socket.close()

    with pytest.raises(ConnectionResetError):
        peer.receive()
    connection.finish()


def test_finish_after_the_socket_was_closed(listener: Listener) -> None:
    """Finishing a connection whose descriptor is gone already is no error."""
    listener.serve()
    connection = connect_tcp(listener.address)
    connection.transport.socket.close()
    connection.finish()

    assert connection.transport.fileno() == -1


@pytest.mark.parametrize("key", [None, b""])
def test_no_key(listener: Listener, made: list[socket.socket], key: bytes | None) -> None:
    """Without a key nothing is connected, and the error names the connection that needs one."""
    with pytest.raises(
        KeyFileError, match=r"^the connection to 127\.0\.0\.1:\d+ needs a key, and none or a"
    ) as caught:
        connect_tcp(listener.address._replace(key=key))

    assert made == []
    assert str(caught.value).endswith("to connect by SSH, write you@127.0.0.1 or 127.0.0.1:ssh=yes")


def test_key_of_a_wrong_size(listener: Listener, made: list[socket.socket]) -> None:
    """A key that cannot be one is refused before anything is connected."""
    with pytest.raises(KeyFileError, match=r"^the key for the connection to 127\.0\.0\.1:\d+ has 3 bytes"):
        connect_tcp(listener.address._replace(key=b"abc"))

    assert made == []


@pytest.mark.parametrize(("port", "expected"), [(None, 11999), (0, 11999), (5, 5)])
def test_place_that_is_connected(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, port: int | None, expected: int
) -> None:
    """The host, the port or the default port, and the limit of the address are those that are tried."""
    tried: list[Any] = []

    def refuse(host: str, port: int, deadline: _deadlines.Deadline) -> socket.socket:
        tried.append((host, port, deadline.left))
        raise OSError("no luck")

    monkeypatch.setattr(tcp, "dial", refuse)
    with pytest.raises(ConnectError) as caught:
        connect_tcp(Address(KEY, "h", port, None, None, None, (), False, 7.0))

    assert tried == [("h", expected, 7.0)]
    assert str(caught.value) == (
        f"cannot connect to h:{expected}: no luck (is the server running there? "
        "to connect by SSH write user@host or add :ssh=yes)"
    )
    assert str(caught.value.__cause__) == "no luck"


def test_no_server() -> None:
    """Where nobody listens the error asks whether the server runs, and is an error of connecting only."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(
            ConnectError, match=rf"^cannot connect to 127\.0\.0\.1:{port}: .*refused"
        ) as caught:
            connect_tcp(Address(KEY, "127.0.0.1", port, None, None, None, (), False))

    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_host_that_cannot_be_looked_up() -> None:
    """A name that is none is an error like that of a host that does not exist."""
    host = "a" * 70 + ".example"
    with pytest.raises(ConnectError, match=f"^cannot connect to {host}:11999: ") as caught:
        connect_tcp(Address(KEY, host, None, None, None, None, (), False))

    assert isinstance(caught.value.__cause__, UnicodeError)


def test_wrong_key(listener: Listener, made: list[socket.socket]) -> None:
    """The refusal of the key keeps its class and says how to give another, and the socket is closed."""
    peer = listener.serve(OTHER_KEY)
    with pytest.raises(AuthenticationError) as caught:
        connect_tcp(listener.address)

    assert str(caught.value) == (
        f"cannot connect to {listener.address.peername}: the server refused the connection: "
        "the key is not the one of this server"
        " (give the server's key with kf=FILE or key=KEY in the spec, or with -k or -K)"
    )
    assert isinstance(peer.result(), AuthenticationError)
    assert [each.fileno() for each in made] == [-1]


def test_silent_server(listener: Listener, clock: Clock, made: list[socket.socket]) -> None:
    """A server that says nothing is waited for as long as the address allows, and no longer."""
    start = clock.now
    with pytest.raises(ConnectError) as caught:
        connect_tcp(listener.address)

    assert str(caught.value) == f"cannot connect to {listener.address.peername}: no answer within 5 seconds"
    assert clock.now - start == pytest.approx(5, abs=0.03)
    assert [each.fileno() for each in made] == [-1]


def test_time_of_connecting_counts(listener: Listener, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that connecting has taken is not there for the handshake any more."""
    create, start = socket.create_connection, clock.now

    def connect_slowly(*arguments: Any) -> socket.socket:
        clock.now += 4
        return create(*arguments)

    monkeypatch.setattr(socket, "create_connection", connect_slowly)
    with pytest.raises(ConnectError, match="no answer within 5 seconds"):
        connect_tcp(listener.address)

    assert clock.now - start == pytest.approx(5, abs=0.03)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("why")])
def test_interrupted_handshake(
    listener: Listener, made: list[socket.socket], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """What is no failure of the connection comes through unchanged, and the socket is closed."""

    def fail(*arguments: Any) -> Link:
        raise error

    monkeypatch.setattr(tcp, "shake_hands", fail)
    with pytest.raises(type(error)) as caught:
        connect_tcp(listener.address)

    assert caught.value is error
    assert [each.fileno() for each in made] == [-1]


def test_broken_connection(
    listener: Listener, made: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system in the handshake becomes an error of connecting, with that one as its cause."""

    def fail(*arguments: Any) -> Link:
        raise error

    error = ConnectionResetError("reset")
    monkeypatch.setattr(tcp, "shake_hands", fail)
    with pytest.raises(ConnectError) as caught:
        connect_tcp(listener.address)

    assert str(caught.value).startswith(f"cannot connect to {listener.address.peername}: reset (perhaps ")
    assert caught.value.__cause__ is error


# Over a connected socket.


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(("key", "servers"), [(None, None), (b"", None), (KEY, KEY)])
@pytest.mark.parametrize("compress", [False, True])
def test_connected_socket(
    pair: tuple[socket.socket, socket.socket], key: bytes | None, servers: bytes | None, compress: bool
) -> None:
    """A connected socket is used with the key that is given, and without one it is a private connection."""
    ours, theirs = pair
    peer = Peer(servers, lambda: theirs)
    connection = connect_socket(ours, "the peer", key, compress, PATIENCE)

    assert are_linked(connection, peer.result())
    assert (connection.peername, connection.is_bare) == ("the peer", False)
    assert connection.link.agreement.compress == compress
    assert connection.transport.socket is ours
    connection.finish()
    assert ours.fileno() == -1


def test_connected_socket_to_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that leaves in the handshake is named in the error, and the socket is closed."""
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectError) as caught:
        connect_socket(ours, "the peer", None, False, PATIENCE)

    assert str(caught.value) == (
        "cannot connect to the peer: the peer closed the connection during the handshake"
        " (perhaps no server of EasyCluster, or one that refuses this address: its log says so)"
    )
    assert isinstance(caught.value.__cause__, ConnectError)
    assert ours.fileno() == -1


def test_reset(pair: tuple[socket.socket, socket.socket]) -> None:
    """A reset, as from a server that refuses the address before it reads, gets the same advice."""
    ours, theirs = pair
    theirs.close()
    with pytest.raises(ConnectError, match=r"one that refuses this address: its log says so\)$"):
        connect_socket(ours, "the peer", KEY, False, PATIENCE)


def test_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be looked up is asked about, and not its server."""

    def refuse(*_: object) -> socket.socket:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(tcp, "dial", refuse)
    with pytest.raises(
        ConnectError, match=r"not known \(is this the name of a host\? to connect by SSH write"
    ):
        connect_tcp(Address(KEY, "h", None, None, None, None, (), False))


def test_connected_socket_to_a_silent_peer(pair: tuple[socket.socket, socket.socket], clock: Clock) -> None:
    """A peer that says nothing is waited for as long as was said."""
    start = clock.now
    with pytest.raises(ConnectError, match="^cannot connect to the peer: no answer within 3 seconds$"):
        connect_socket(pair[0], "the peer", KEY, False, 3.0)

    assert clock.now - start == pytest.approx(3, abs=0.03)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("why")])
def test_connected_socket_and_an_interrupt(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """An interrupt comes through unchanged, and the socket is closed."""

    def fail(*arguments: Any) -> Link:
        raise error

    monkeypatch.setattr(tcp, "shake_hands", fail)
    with pytest.raises(type(error)) as caught:
        connect_socket(pair[0], "the peer", None, False, PATIENCE)

    assert caught.value is error
    assert pair[0].fileno() == -1
