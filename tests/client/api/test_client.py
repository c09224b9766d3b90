"""The client: connecting by an address, names on the server, and calls of its operations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import easycluster
from easycluster_client._address import Address
from easycluster_client._api import client as client_module
from easycluster_client._api.client import Client
from easycluster_client._api.remote_names import RemoteName
from easycluster_client._api.threaded_client import ThreadedClient
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._definitions.modules import DEFAULT_NAME
from easycluster_protocol.errors import ConnectError, KeyFileError, RemoteException
from helpers.hand_made_host import HandMadeHost, let_clients_connect, session_of
from helpers.noted_client import NotedClient, call_of, noted, operation_of

KEY = bytes(32)


@pytest.fixture
def hosts() -> Iterator[list[HandMadeHost]]:
    """Two hosts."""
    hosts = [HandMadeHost() for _ in range(2)]
    yield hosts
    for host in hosts:
        host.close()


@pytest.fixture
def addresses(hosts: list[HandMadeHost], monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """The addresses to which clients have connected; the hosts are there one after the other."""
    return let_clients_connect(monkeypatch, *hosts)


@pytest.fixture
def client() -> NotedClient:
    """A client that notes its calls."""
    return NotedClient()


# Connecting.


def test_client_with_an_address(addresses: list[Address]) -> None:
    """A client that is made with a host is connected to the address that its arguments give."""
    client = Client(KEY, "host", 5, DEFAULT_NAME, True, "/ssh", "me", "py", ["-x"], connect_timeout=7)

    assert addresses == [Address(KEY, "host", 5, "/ssh", "me", "py", ("-x",), True, 7.0)]
    assert (client.connected, client.peername) == (True, "host:1")
    assert (client.remote_host, client.remote_port) == ("host", 5)


def test_client_that_connects_later(addresses: list[Address]) -> None:
    """A client without a host connects with its key and the arguments of `connect`, under the name given there."""
    client = Client(KEY, connect_timeout=7)
    before = list(addresses)
    client.connect("host", 5, "name", "me", False, "py", ("-x",))

    assert before == []
    assert addresses == [Address(KEY, "host", 5, False, "me", "py", ("-x",), False, 7.0)]
    assert client.peername == "name"


def test_ports_that_are_not_given(addresses: list[Address]) -> None:
    """Without a port it is the default one with a key; without a key ssh chooses it."""
    first, second = Client(KEY, "host"), Client(None, "host")

    assert (first.remote_port, second.remote_port) == (DEFAULT_PORT, None)
    assert addresses[1] == Address(None, "host", None, None, None, None, (), False, 30.0)


@pytest.mark.parametrize("key", ["you@lab1", "s3cret", Path("secret.key"), 5], ids=repr)
@pytest.mark.parametrize("kind", [Client, ThreadedClient])
def test_spec_as_the_key(kind: Any, key: Any) -> None:
    """A client whose key is none, and that has no host, says how to connect by a spec; the key is not shown."""
    with pytest.raises(KeyFileError) as raised:
        kind(key)

    assert str(raised.value) == (
        f"the first argument of {kind.__name__} must be a key, not {type(key).__name__}: to connect by a spec"
        f" write {kind.__name__}.from_spec('user@host'); read_key_file() reads a key from a file, and"
        " decode_key() makes one from text"
    )


@pytest.mark.parametrize("key", [None, b"", "", KEY])
def test_client_without_a_host(key: Any) -> None:
    """A client may have a key, or none, before it connects."""
    assert not Client(key).connected


def test_key_as_the_host(addresses: list[Address]) -> None:
    """A key in the place of the host is refused, and not shown."""
    key: Any = KEY
    with pytest.raises(TypeError, match=r"^the host is its name or address, a str, not bytes$"):
        Client(KEY, key)

    assert addresses == []


def test_client_that_is_connected(addresses: list[Address]) -> None:
    """A client that is connected keeps its address and its connection."""
    client = Client(KEY, "host")
    with pytest.raises(ValueError, match=r"^the client is connected to host:1: close\(\) it first$"):
        client.connect("other")

    assert (len(addresses), client.remote_host, client.connected) == (1, "host", True)


def test_connecting_again(addresses: list[Address], hosts: list[HandMadeHost]) -> None:
    """The first connection is closed; the new one is to the same address, under the same name."""
    client = Client(KEY)
    client.connect("host", peername="name")
    first = session_of(client)
    hosts[0].say_no_more()
    client.reconnect()

    assert addresses[0] == addresses[1]
    assert (client.peername, client.connected, hosts[0].finished) == ("name", True, 1)
    assert session_of(client) is not first


def test_connecting_again_without_an_address() -> None:
    """A client without an address cannot connect again."""
    with pytest.raises(
        ValueError, match=r"^reconnect\(\) needs a client that was connected to a host before$"
    ):
        Client(KEY).reconnect()


def test_connection_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the client is not connected, but has its address, so that it can try again."""

    def fail(address: Address) -> None:
        raise ConnectError(f"no {address.host}")

    monkeypatch.setattr(client_module, "connect", fail)
    client = Client(KEY)
    with pytest.raises(ConnectError, match="no host"):
        client.connect("host")
    with pytest.raises(ConnectError, match="no host"):
        client.reconnect()

    assert (client.connected, client.remote_host) == (False, "host")


def test_client_of_a_spec(addresses: list[Address]) -> None:
    """A spec gives the arguments; the port and the key may come from elsewhere."""
    Client.from_spec("host:compress=yes", 5, KEY)
    Client.from_spec("me@host")

    assert addresses[0] == Address(KEY, "host", 5, None, None, None, (), True, 30.0)._replace(
        ssh=addresses[0].ssh, user=addresses[0].user, rpython=addresses[0].rpython
    )
    assert (addresses[1].host, addresses[1].user, addresses[1].uses_ssh) == ("host", "me", True)


@pytest.mark.parametrize(("key", "expected"), [(KEY, KEY), (None, b"")])
def test_arguments_of_a_spec(monkeypatch: pytest.MonkeyPatch, key: bytes | None, expected: bytes) -> None:
    """The spec is parsed with the defaults, and says which warnings are wanted; the class is that of the caller."""
    parsed: list[Any] = []

    def parse(*arguments: Any, warn: bool) -> dict[str, Any]:
        parsed.append((*arguments, warn))
        return {"key": KEY}

    monkeypatch.setattr(client_module, "parse_connection_spec", parse)
    client = NotedClient.from_spec("spec", 5, key, warn=False)
    NotedClient.from_spec("spec")

    assert type(client) is NotedClient
    assert parsed == [("spec", 5, expected, False), ("spec", None, b"", True)]


def test_module_of_definitions(addresses: list[Address]) -> None:
    """The module in which names are looked up first is that of the client."""
    assert Client(definitions="mine")._easycluster_calls.definitions == "mine"
    assert Client()._easycluster_calls.definitions == DEFAULT_NAME


# Names.


def test_names_on_the_server(client: NotedClient) -> None:
    """Every other attribute is a name on the server, also a private one."""
    assert client.a == RemoteName(client, "a")
    assert client._a == RemoteName(client, "_a")
    assert repr(client.a.b) == "<a.b on (not connected)>"


@pytest.mark.parametrize("name", ["__len__", "_repr_html_", "_ipython_display_"])
def test_names_that_mean_the_client(client: NotedClient, name: str) -> None:
    """Names that Python and notebooks look for are missing here; the error names the class."""
    with pytest.raises(AttributeError, match=f"^NotedClient has no attribute '{name}'"):
        getattr(client, name)


# Calls.


def test_call(client: NotedClient) -> None:
    """A function gets all keywords but the five of every call."""
    assert client.call("f", 1, func=2, timeout=3, threadid=4) == "answer"
    assert noted(client).made == [call_of("f", 1, kwargs={"func": 2, "timeout": 3}, threadid=4)]


@pytest.mark.parametrize("method", ["eval", "execblock", "import_module"])
def test_operations(client: NotedClient, method: str) -> None:
    """An operation has its options by position or by name, and names itself in errors."""
    assert getattr(client, method)("text", True, print, timeout=3) == "answer"
    assert noted(client).made == [operation_of(method, "text", nonblocking=True, oncomplete=print, timeout=3)]
    with pytest.raises(TypeError, match=rf"^{method}\(\) got an unexpected keyword argument 'a'"):
        getattr(client, method)("text", a=1)


@pytest.mark.parametrize(("method", "kind"), [("eval", "an expression"), ("execblock", "statements")])
@pytest.mark.parametrize("code", [len, lambda: 3, None], ids=["builtin", "lambda", "None"])
def test_code_that_is_no_text(client: NotedClient, method: str, kind: str, code: Any) -> None:
    """A function where the text of code is wanted is refused, with the way to call it; nothing is sent."""
    with pytest.raises(TypeError) as raised:
        getattr(client, method)(code)

    assert str(raised.value) == (
        f"{method} takes the text of {kind}, not {type(code).__name__}: to call a function of this script on the"
        " host write host.call(function, ...)"
    )
    assert noted(client).made == []


def test_one_module_for_several(client: NotedClient) -> None:
    """One name where several are wanted is refused, and not taken for a name per letter."""
    with pytest.raises(TypeError, match=r"write import_modules\(\['os'\]\), or import_module\('os'\)$"):
        client.import_modules("os")

    assert noted(client).made == []


def test_name_as_a_function(client: NotedClient) -> None:
    """A name on a server is not a function of this process; the error says how to call it."""
    for name in (client.a.f, easycluster.options(client.a.f, timeout=3)):
        for call in (client.call, client.raw_call):
            with pytest.raises(TypeError) as raised:
                call(name, ())
            assert str(raised.value) == (
                f"{name!r} is the name of a function: write host.a.f(...) or call('a.f', ...)"
            )
    assert noted(client).made == []


def test_several_modules(client: NotedClient) -> None:
    """The names of modules may come from any iterable."""
    client.import_modules(iter("ab"), True, timeout=3)

    assert noted(client).made == [operation_of("import_modules", ["a", "b"], nonblocking=True, timeout=3)]
    with pytest.raises(TypeError, match=r"^import_modules\(\) got an unexpected keyword argument 'a'"):
        client.import_modules([], a=1)


def test_definitions(client: NotedClient) -> None:
    """Without new definitions nothing is sent, unless the caller wants a response."""
    assert client.update_definitions() is None
    assert noted(client).made == []
    assert client.update_definitions(True, timeout=3) == "answer"
    expected = operation_of("define", [], origexc="quiet", nonblocking=True, timeout=3)
    assert noted(client).made == [expected]
    with pytest.raises(TypeError, match=r"^update_definitions\(\) got an unexpected keyword argument 'a'"):
        client.update_definitions(a=1)


# Stack traces.


def remote_error(error: Exception) -> RemoteException:
    """Return an exception of remote code."""
    return RemoteException(error, ["Traceback\n", "the error\n"])


def test_stack_trace(client: NotedClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The stack trace is printed with the name of the server."""
    exception = remote_error(ValueError("no"))
    client.report_exception(exception)

    assert capsys.readouterr() == ("", f"Exception on (not connected):\n{exception}\n")


def test_end_of_an_iterator(client: NotedClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The end of an iterator is no exception to print."""
    client.report_exception(remote_error(StopIteration(5)))

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stderr", [None, SimpleNamespace(write=lambda text: 1 / 0)])
def test_stack_trace_without_standard_error(
    client: NotedClient, monkeypatch: pytest.MonkeyPatch, stderr: Any
) -> None:
    """Where nothing can be printed that is no error."""
    monkeypatch.setattr(sys, "stderr", stderr)
    client.report_exception(remote_error(ValueError("no")))
