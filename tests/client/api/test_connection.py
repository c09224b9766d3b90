"""The connection of a client: its states, opening and closing, reading, and plain calls."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_client._api import connection as connection_module
from easycluster_client._api.client import Client
from easycluster_client._api.root_proxy import RootProxy
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._tls_options import TlsOptions
from easycluster_protocol._constants import SINGLE, SINGLE_THREAD
from easycluster_protocol._wire import messages as m
from easycluster_protocol.errors import ConnectionLost, RemoteException
from helpers.hand_made import note_receptions
from helpers.hand_made_host import HandMadeHost, session_of
from helpers.noted_client import NotedCall, NotedClient, call_of, noted

KEY = bytes(32)


@pytest.fixture
def host() -> Iterator[HandMadeHost]:
    """A host."""
    host = HandMadeHost()
    yield host
    host.close()


def use(
    patch: pytest.MonkeyPatch, client: Client, host: HandMadeHost, name: str | None = "name"
) -> list[Any]:
    """Let a client use a socket to a host; return the arguments with which that was connected."""
    noted: list[Any] = []

    def connect(*arguments: Any) -> Any:
        noted.extend(arguments)
        return host.connection

    patch.setattr(connection_module, "connect_socket", connect)
    client.set_socket(host.socket, name)
    return noted


@pytest.fixture
def client(host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client that is connected to the host."""
    client = Client()
    use(monkeypatch, client, host)
    return client


def call(client: Client, **options: Any) -> Any:
    """Make a call that does not wait."""
    return client.raw_call("f", (), **{"nonblocking": True, **options})


# Without a connection.


def test_client_that_is_not_connected() -> None:
    """A client that was never connected says so, and closing it does nothing."""
    client = Client()
    client.close()

    assert (client.connected, client.ready(), client.peername) == (False, False, "(not connected)")
    assert (client.remote_host, client.remote_port) == (None, None)
    assert repr(client) == "<Client not connected>"


@pytest.mark.parametrize(
    "use_it",
    [
        Client.fileno,
        Client.write_fileno,
        Client.wait_ready,
        Client.read_response,
        Client.get_root,
        lambda client: client.server_version,
        lambda client: client.stop_remote_thread(1),
        lambda client: client.raw_call("f", ()),
    ],
)
def test_what_needs_a_connection(use_it: Callable[[Client], Any]) -> None:
    """Whatever needs a connection says that there is none."""
    with pytest.raises(ConnectionLost, match=r"^the client is not connected: call connect\(\) first$"):
        use_it(Client())


@pytest.mark.parametrize("seconds", [0, -1, "1", 86401])
def test_limit_on_connecting(seconds: Any) -> None:
    """The limit is checked when the client is made."""
    with pytest.raises(ValueError, match="^connect_timeout must be a number of seconds"):
        Client(connect_timeout=seconds)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_sending_a_client(take: Any) -> None:
    """A client cannot be pickled or copied."""
    with pytest.raises(TypeError) as raised:
        take(Client())

    assert str(raised.value) == (
        "<Client not connected> cannot be sent, pickled or copied: a connection belongs to the process that made"
        " it; connect again where it is needed"
    )


# Opening.


def test_socket_that_is_used(host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handshake gets the key, the compression and the limit of the client; the client has the name given."""
    client = Client(KEY, enable_compression=True, connect_timeout=5)

    assert use(monkeypatch, client, host) == [
        host.socket,
        "name",
        KEY,
        True,
        5.0,
        TlsOptions(),
        KeepAliveOptions(),
    ]
    assert (client.connected, client.ready(), client.peername) == (True, True, "name")
    assert repr(client) == "<Client connected to name>"
    assert (client.remote_host, client.remote_port) == (None, None)
    assert client.server_version == session_of(client).link.agreement.peer.version


def test_socket_without_a_name(host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that has no address is named as such."""
    client = Client()

    assert use(monkeypatch, client, host, None)[1:] == [
        "socket",
        None,
        False,
        30.0,
        TlsOptions(),
        KeepAliveOptions(),
    ]
    assert client.peername == "socket"


def test_client_that_is_connected(client: Client, host: HandMadeHost) -> None:
    """A client that is connected cannot use another socket."""
    with pytest.raises(ValueError, match=r"^the client is connected to name: close\(\) it first$"):
        client.set_socket(host.socket)


def test_client_whose_connection_was_lost(
    client: Client, host: HandMadeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that has lost its connection can use another one; what remained of the first is closed."""
    host.socket.close()
    with pytest.raises(ConnectionLost):
        client.read_response()
    before = client.connected, client.ready(), host.finished
    other = HandMadeHost()
    use(monkeypatch, client, other)

    assert (before, client.connected, host.finished) == ((False, False, 0), True, 1)
    other.close()


def test_host_without_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has no modules is sent those that calls need, ahead of the first call, once."""
    monkeypatch.setattr(connection_module, "calls_bundle", lambda: b"bundle")
    host, client = HandMadeHost(is_bare=True), Client()
    use(monkeypatch, client, host)
    for _ in range(2):
        call(client)

    assert [message.kind for message in host.receive(3)] == [m.MODULES, m.CALL, m.CALL]
    assert host.received[0].body == b"bundle"
    host.close()


def test_definitions_that_fail(host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be prepared is closed again."""
    client = Client()

    def fail() -> None:
        assert client.connected
        raise KeyError("definitions")

    monkeypatch.setattr(client._easycluster_calls, "prepare", fail)
    host.say_no_more()
    with pytest.raises(KeyError, match="definitions"):
        use(monkeypatch, client, host)

    assert (client.connected, client.peername, host.finished) == (False, "name", 1)


# Closing.


def test_closing(client: Client, host: HandMadeHost) -> None:
    """Closing ends the outstanding calls with the text, ends ssh, and calls completion functions; once."""
    told: list[Any] = []
    response = call(client, oncomplete=told.append)
    host.say_no_more()
    for _ in range(2):
        client.close("enough")

    assert (client.connected, client.peername, host.finished) == (False, "name", 1)
    assert [type(each) for each in told] == [RemoteException]
    with pytest.raises(ConnectionLost, match="^enough"):
        response.wait()


def test_closing_without_a_text(client: Client, host: HandMadeHost) -> None:
    """A block ``with`` closes the client at its end, and gives the client."""
    host.say_no_more()
    with client as found:
        response = call(client)

    assert found is client
    with pytest.raises(ConnectionLost, match="^Connection closed"):
        response.wait()


def test_closing_that_fails(client: Client, host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if closing is interrupted ssh is ended, and the client is not connected."""

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt(text)

    monkeypatch.setattr(session_of(client), "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.close()

    assert (client.connected, host.finished) == (False, 1)


# The connection.


def test_descriptors(client: Client, host: HandMadeHost) -> None:
    """A client has the descriptors of its connection while that is open."""
    transport = session_of(client).transport

    assert (client.fileno(), client.write_fileno()) == (transport.fileno(), transport.write_fileno())
    host.say_no_more()
    session_of(client).close("over")
    for descriptor in (client.fileno, client.write_fileno):
        with pytest.raises(ConnectionLost, match="over"):
            descriptor()


def test_waiting_until_it_is_ready(client: Client, host: HandMadeHost) -> None:
    """A client that is connected is ready; one that has lost its connection says why it will not be."""
    client.wait_ready()
    host.say_no_more()
    session_of(client).close("over")

    with pytest.raises(ConnectionLost, match="^over"):
        client.wait_ready()


def test_reading(client: Client, host: HandMadeHost) -> None:
    """Reading tells whether anything came, and calls the completion functions of what came."""
    told: list[Any] = []
    response = call(client, oncomplete=told.append)
    before = client.read_response(block=False)
    host.answer(response)

    assert (before, told) == (False, [])
    assert client.read_response() is True
    assert told == ["value"]


def test_answer_that_was_read_before(
    client: Client, host: HandMadeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completion functions of an answer that was read before are called without reading."""
    told: list[Any] = []
    host.answer(call(client, oncomplete=told.append))
    session_of(client).read(True)
    host.session = session_of(client)
    receptions = note_receptions(host, monkeypatch)

    assert client.read_response() is True
    assert (told, receptions) == (["value"], [])


def test_reading_in_a_completion_function(client: Client, host: HandMadeHost) -> None:
    """A completion function that reads gets those of the other answers called."""
    told: list[Any] = []

    def read_on(value: Any) -> None:
        told.append("begin")
        client.read_response()
        told.append("end")

    host.answer(call(client, oncomplete=read_on), call(client, oncomplete=told.append))
    client.read_response()

    assert told == ["begin", "value", "end"]


def test_reading_when_the_connection_ends(client: Client, host: HandMadeHost) -> None:
    """When the connection ends the completion functions get that as an error, and so does the reader."""
    told: list[Any] = []
    call(client, oncomplete=told.append)
    host.socket.close()
    with pytest.raises(ConnectionLost):
        client.read_response()

    assert [type(each) for each in told] == [RemoteException]


def test_receipts_are_given_back_when_it_reads(client: Client, host: HandMadeHost) -> None:
    """Receipts of proxies that are gone are given back at each reading."""
    session_of(client).references.drop([7])
    client.read_response(block=False)

    assert [(message.kind, message.releases) for message in host.receive(1)] == [(m.RELEASE, [(7, 1)])]


# Calls.


def test_raw_call() -> None:
    """The function gets all keywords that are in the dictionary, and the call the options, by position or by name."""
    client, kwargs = NotedClient(), {"nonblocking": 1}
    client.raw_call("f", [1, 2], kwargs, True, print, timeout=3)
    client.raw_call("f", ())

    assert noted(client).made == [
        call_of("f", 1, 2, kwargs={"nonblocking": 1}, nonblocking=True, oncomplete=print, timeout=3),
        call_of("f"),
    ]
    assert noted(client).made[0].values[2] is not kwargs


def test_request_to_an_object() -> None:
    """A method of an object is called by the number of the object."""
    client = NotedClient()
    client.send_request(7, "f", [1], {"a": 2}, True, timeout=3)
    client.send_request(7, "f", ())

    assert noted(client).made == [
        NotedCall(m.INVOKE, (7, "f", (1,), {"a": 2}), {"nonblocking": True, "timeout": 3}),
        NotedCall(m.INVOKE, (7, "f", (), {}), {}),
    ]


@pytest.mark.parametrize(("method", "args"), [("raw_call", ("f", ())), ("send_request", (7, "f", ()))])
def test_unknown_option(method: str, args: Any) -> None:
    """The error for an unknown option names the method, and where arguments of the function go."""
    with pytest.raises(TypeError, match=rf"^{method}\(\) got an unexpected keyword argument 'a': .* kwargs="):
        getattr(NotedClient(), method)(*args, a=1)


def test_root(client: Client) -> None:
    """The server itself has one proxy, as long as a script holds it."""
    root = client.get_root()

    assert type(root) is RootProxy
    assert (root.proxy_object_id, root.proxy_connection) == (0, client)
    assert client.get_root() is root


def test_default_thread(client: Client, host: HandMadeHost) -> None:
    """Calls without a thread run in the default one."""
    for thread in (5, SINGLE, 0):
        client.set_default_thread(thread)  # type: ignore[arg-type]
        call(client)
    call(client, threadid=6)

    assert [message.thread for message in host.receive(4)] == [5, SINGLE_THREAD, 0, 6]
    with pytest.raises(TypeError, match="^threadid must be an integer"):
        client.set_default_thread(None)  # type: ignore[arg-type]


def test_thread_that_is_ended(client: Client, host: HandMadeHost) -> None:
    """The server is told which thread is to end."""
    client.stop_remote_thread(5)

    assert [(message.kind, message.thread) for message in host.receive(1)] == [(m.STOP_THREAD, 5)]
    with pytest.raises(TypeError, match="^threadid must be an integer"):
        client.stop_remote_thread(None)  # type: ignore[arg-type]
