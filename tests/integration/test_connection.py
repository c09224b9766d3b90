"""The life of a connection: connect, use, close, connect again."""

from __future__ import annotations

import gc
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import (
    VERSION,
    AuthenticationError,
    Client,
    ConnectError,
    Connection,
    KeyFileError,
    OutcomeUnknown,
    ThreadedClient,
    define_common,
)

TLS_TOO = True

DEFINITIONS = "def add(a, b):\n    return a + b\n"


def test_names_of_a_connection(client: Any, transport: Any) -> None:
    """An open connection tells with whom it is."""
    if transport.server:
        port = transport.server.port
        expected: tuple[Any, ...] = (f"127.0.0.1:{port}", "127.0.0.1", port)
    elif transport.name == "ssh":
        expected = ("h:22", "h", None)
    else:
        expected = (client.peername, None, None)
        assert client.peername.startswith("local:")

    assert (client.peername, client.remote_host, client.remote_port) == expected
    assert client.connected
    assert client.server_version == VERSION
    assert repr(client) == f"<Client connected to {client.peername}>"
    assert repr(client.a.b) == f"<a.b on {client.peername}>"


def test_ready(client: Any) -> None:
    """A client whose constructor returned is ready."""
    client.wait_ready()

    assert client.ready()


def test_descriptor(client: Any) -> None:
    """The descriptor of a client becomes readable when an answer comes."""
    response = client.eval("5", nonblocking=True)

    readable, _, _ = select.select([client], [], [], 30)

    assert readable == [client]
    assert client.write_fileno() >= 0
    assert response.wait() == 5


def test_close(client: Any) -> None:
    """A closed client says so, and closing it again does nothing."""
    client.close()
    client.close("another message")

    assert not client.connected
    assert repr(client) == f"<Client of {client.peername}, not connected>"
    with pytest.raises(OSError, match="not connected"):
        client.eval("1")
    with pytest.raises(OSError, match="not connected"):
        client.wait_ready()


def test_context_manager(transport: Any) -> None:
    """A `with` block closes the client at its end, also when an error leaves the block."""
    with transport.connect() as first:
        assert first.eval("1") == 1
    with pytest.raises(ValueError, match="left early"), transport.connect() as second:
        raise ValueError("left early")

    assert not first.connected
    assert not second.connected


def test_dropped_client(transport: Any) -> None:
    """A client that is dropped without `close` leaves nothing behind, and warns of nothing."""
    client = transport.connect()
    assert client.eval("1") == 1

    del client
    gc.collect()


def test_connect_after_constructor(tcp_server: Any, key: bytes) -> None:
    """A client made without a host connects later; connecting twice is refused."""
    late = Client(key)
    assert not late.connected

    late.connect("127.0.0.1", tcp_server.port, peername="my server")

    assert late.peername == "my server"
    with pytest.raises(ValueError, match=r"connected to my server: close\(\) it first"):
        late.connect("127.0.0.1", tcp_server.port)
    assert late.eval("1") == 1
    late.close()
    late.connect("127.0.0.1", tcp_server.port)
    assert late.eval("1") == 1
    late.close()


@pytest.mark.parametrize("clientclass", [Client, ThreadedClient])
def test_from_spec_with_defaults(tcp_server: Any, key: bytes, clientclass: Any) -> None:
    """`from_spec` takes what the spec leaves open from its arguments, and makes a client of its own class."""
    with (
        clientclass.from_spec("127.0.0.1", tcp_server.port, key) as first,
        clientclass.from_spec(
            f"127.0.0.1:{tcp_server.port}", default_port=1, default_key=key, warn=False
        ) as second,
    ):
        assert type(first) is clientclass
        assert [each.eval("6 * 7") for each in (first, second)] == [42, 42]


def test_reconnect(connect: Any, transport: Any) -> None:
    """`reconnect` gives a fresh process, to which the definitions are sent again."""
    define_common(DEFINITIONS)
    client = connect()
    if transport.name == "local":
        with pytest.raises(ValueError, match="reconnect"):
            client.reconnect()
        assert client.add(1, 2) == 3
        return
    before = client.os.getpid()
    name = client.peername
    define_common("def late():\n    return 'late'\n")
    client.counter.value = 1

    client.reconnect()

    assert client.os.getpid() != before
    assert client.peername == name
    assert client.add(1, 2) == 3
    assert client.late() == "late"
    with pytest.raises(NameError):
        client.raw_call("eval", ["counter"], origexc="quiet")


def test_reconnect_after_close(connect: Any, transport: Any) -> None:
    """`reconnect` also opens a client anew that was closed."""
    client = connect()
    if transport.name == "local":
        return
    name = client.peername
    client.close()

    client.reconnect()

    assert client.eval("1") == 1
    assert client.peername == name


def test_reconnect_keeps_a_name_of_ones_own(tcp_server: Any, key: bytes) -> None:
    """The name that `connect` was given for the server stays, also when the client was closed meanwhile."""
    with Client(key) as client:
        client.connect("127.0.0.1", tcp_server.port, peername="my server")
        client.close()
        client.reconnect()

        assert client.peername == "my server"


def test_connect_after_a_loss(tcp_server: Any, key: bytes) -> None:
    """A client whose connection was lost connects anew without being closed; what was outstanding is told."""
    with Client(key, "127.0.0.1", tcp_server.port) as client:
        errors: list[Any] = []
        client.call("time.sleep", 60, oncomplete=errors.append)
        session: Any = client._easycluster_calls.session
        session.transport.socket.shutdown(socket.SHUT_RDWR)
        session.receive_available()
        assert not client.connected

        client.connect("127.0.0.1", tcp_server.port)

        assert client.eval("1") == 1
        assert [type(error.orig) for error in errors] == [OutcomeUnknown]


def test_reconnect_before_connecting() -> None:
    """There is nothing to connect to again before the first connection."""
    with pytest.raises(ValueError, match="connected to a host before"):
        Client(b"k" * 32).reconnect()


def test_set_socket() -> None:
    """A client takes a socket on whose other end a server is about to serve."""
    ours, theirs = socket.socketpair()
    code = "from easycluster_server._stdio import main; main()"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs.fileno(), stdout=theirs.fileno()
        )
    client = Client()

    client.set_socket(ours, "by hand")

    assert client.peername == "by hand"
    assert client.eval("6 * 7") == 42
    assert (client.remote_host, client.remote_port) == (None, None)
    with pytest.raises(ValueError, match=r"connected to by hand: close\(\) it first"):
        client.set_socket(ours)
    with pytest.raises(ValueError, match="connected to a host before"):
        client.reconnect()
    client.close()
    assert process.wait(30) == 0


def test_set_socket_with_a_key(tcp_server: Any, key: bytes) -> None:
    """To a standalone server it leads with the client's key; the server's name is its address."""
    client = Client(key)

    client.set_socket(socket.create_connection(("127.0.0.1", tcp_server.port)))

    with client:
        assert client.peername == f"127.0.0.1:{tcp_server.port}"
        assert client.eval("6 * 7") == 42
    with pytest.raises(AuthenticationError, match=f"cannot connect to 127.0.0.1:{tcp_server.port}"):
        Client(bytes(32)).set_socket(socket.create_connection(("127.0.0.1", tcp_server.port)))


def test_names_of_sockets(tmp_path: Path) -> None:
    """A socket that has no address of a network is called "socket"."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        ours = socket.socket(socket.AF_UNIX)
        ours.connect(str(tmp_path / "s"))
        listening.accept()[0].close()
        with pytest.raises(ConnectError, match="^cannot connect to socket:"):
            Client().set_socket(ours)


def test_blank_key(tcp_server: Any) -> None:
    """A blank key, as of options that were not given, is refused; only without a key ssh is meant."""
    with pytest.raises(KeyFileError, match=f"the connection to localhost:{tcp_server.port} needs a key"):
        Client(b"", "localhost", tcp_server.port)


def test_set_socket_without_a_server() -> None:
    """A socket on whose other end nobody talks EasyCluster is named by the name that was given for it."""
    ours, theirs = socket.socketpair()
    theirs.close()
    client = Client()

    with pytest.raises(ConnectError, match="cannot connect to by hand"):
        client.set_socket(ours, "by hand")

    assert not client.connected


def test_kinds_of_connections(client: Any, connect: Any) -> None:
    """Every client is a `Connection`, which is not made by itself."""
    assert isinstance(client, Connection)
    assert issubclass(ThreadedClient, Connection)
    with pytest.raises(TypeError):
        Connection()  # type: ignore[call-arg]


def test_several_clients(connect: Any) -> None:
    """Each connection has a process of its own; what one sets another does not see."""
    first, second = connect(), connect()
    first.x.value = 1

    assert first.os.getpid() != second.os.getpid()
    with pytest.raises(NameError):
        second.raw_call("eval", ["x"], origexc="quiet")
    first.close()
    assert second.eval("2") == 2


def test_compressed(connect: Any) -> None:
    """With compression values of every size arrive as they were."""
    client = connect(enable_compression=True)
    define_common("def echo(x):\n    return x\n")
    client.update_definitions()

    for value in (b"", b"x", b"ab" * 1000, bytes(range(256)) * 20_000):
        assert client.echo(value) == value


def test_options_of_subclass(connect: Any) -> None:
    """A subclass of Client connects like Client."""

    class MyClient(Client):
        """Has an attribute of its own."""

        extra = 5

    client = connect(MyClient)

    assert type(client) is MyClient
    assert client.extra == 5
    assert client.eval("1") == 1


def test_spawn_local_with_class() -> None:
    """`spawn_local` takes the class of the client."""

    class MyClient(Client):
        """A class of the test's own."""

    with easycluster.server.spawn_local(MyClient) as client:
        assert type(client) is MyClient
        assert client.eval("1") == 1


def test_spawn_local_with_a_class_that_wants_a_key() -> None:
    """A class whose instances need a key gets a blank one, as from published EasyCluster."""

    class MyClient(Client):
        """Remembers its key."""

        def __init__(self, key: bytes, host: str | None = None) -> None:
            super().__init__(key, host)
            self.__dict__["mine"] = key

    with easycluster.server.spawn_local(MyClient) as client:
        assert (client.mine, client.eval("1")) == (b"", 1)
