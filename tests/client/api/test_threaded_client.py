"""The client for masters with several threads: its sessions, server threads, and what it does by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client._address import Address
from easycluster_client._api.client import Client
from easycluster_client._api.threaded_client import AutoThreadingClient, ThreadedClient
from easycluster_client._calls.threaded_maker import FIRST_THREAD, ThreadedCallMaker
from easycluster_client._keep_alive_options import KeepAliveOptions
from easycluster_client._session.threaded_session import ThreadedSession
from easycluster_protocol._definitions.modules import DEFAULT_NAME
from helpers.hand_made_host import HandMadeHost, let_clients_connect, session_of
from helpers.other_thread import OtherThread

KEY = bytes(32)


@pytest.fixture
def host() -> Iterator[HandMadeHost]:
    """A host."""
    host = HandMadeHost()
    yield host
    host.close()


@pytest.fixture
def addresses(host: HandMadeHost, monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """The address to which a client has connected."""
    return let_clients_connect(monkeypatch, host)


@pytest.fixture
def client(host: HandMadeHost, addresses: list[Address]) -> Iterator[ThreadedClient]:
    """A client that is connected to the host."""
    client = ThreadedClient(KEY, "host", keep_alive_interval=None, keep_alive_timeout=None)
    yield client
    host.say_no_more()
    client.close()


def call(client: Client, **options: Any) -> Any:
    """Make a call that does not wait."""
    return client.raw_call("f", (), **{"nonblocking": True, **options})


def test_name_of_earlier_versions() -> None:
    """The class has its old name, too."""
    assert AutoThreadingClient is ThreadedClient


def test_arguments(host: HandMadeHost, addresses: list[Address]) -> None:
    """The arguments are those of a client, with the two of liveness before the limit on connecting."""
    client = ThreadedClient(
        KEY, "host", 5, DEFAULT_NAME, True, "/ssh", "me", "py", ["-x"], 2, None, connect_timeout=7
    )

    limits = KeepAliveOptions(2.0, None)
    assert addresses == [Address(KEY, "host", 5, "/ssh", "me", "py", ("-x",), True, 7.0, keep_alive=limits)]
    assert session_of(client).keep_alive.interval == 2.0
    host.say_no_more()
    client.close()


def test_liveness_that_is_not_given(host: HandMadeHost, addresses: list[Address]) -> None:
    """Without these arguments the server is asked after 10 seconds and given up after 60."""
    client = ThreadedClient(KEY, "host")

    assert [each.keep_alive for each in addresses] == [KeepAliveOptions(10.0, 60.0)]
    host.say_no_more()
    client.close()


@pytest.mark.parametrize("name", ["keep_alive_interval", "keep_alive_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, "1"])
def test_limits_of_liveness_are_checked(addresses: list[Address], name: str, seconds: Any) -> None:
    """A limit that is none is refused, by its name, before anything is connected."""
    limits: dict[str, Any] = {name: seconds}
    with pytest.raises(ValueError, match=f"^{name} must be a positive number of seconds or None, not "):
        ThreadedClient(KEY, "host", **limits)

    assert addresses == []


def test_session(client: ThreadedClient) -> None:
    """Its session is read in the background, under the name of the connection."""
    session = session_of(client)

    assert isinstance(session, ThreadedSession)
    assert isinstance(client._easycluster_calls, ThreadedCallMaker)
    assert (session.peername, client.peername) == ("host:1", "host:1")


def test_module_of_definitions() -> None:
    """The module in which names are looked up first is that of the client."""
    assert ThreadedClient(definitions="mine")._easycluster_calls.definitions == "mine"


def test_reading_is_not_for_scripts(client: ThreadedClient) -> None:
    """Reading answers by hand is an error that says what to do."""
    for block in (True, False):
        with pytest.raises(TypeError) as raised:
            client.read_response(block)
        assert str(raised.value) == (
            "a ThreadedClient reads by itself: use wait(), have_response or oncomplete="
        )


def test_server_threads(client: ThreadedClient, host: HandMadeHost, other_thread: OtherThread) -> None:
    """Each thread has a server thread of its own, unless a default is set; 0 undoes that."""
    call(client)
    other_thread.run(call, client)
    client.set_default_thread(5)
    call(client)
    other_thread.run(call, client)
    client.set_default_thread(0)
    other_thread.run(call, client)

    assert [message.thread for message in host.receive(5)] == [0, FIRST_THREAD, 5, 5, FIRST_THREAD]
    with pytest.raises(TypeError, match="^threadid must be an integer"):
        client.set_default_thread("5")  # type: ignore[arg-type]


def test_checking_threads(client: ThreadedClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking threads wakes the background thread, and needs no connection."""
    woken: list[bool] = []
    calls = client._easycluster_calls
    assert isinstance(calls, ThreadedCallMaker)
    monkeypatch.setattr(calls.ended, "wake", lambda: woken.append(True))
    client.check_threads()

    assert woken == [True]
    ThreadedClient().check_threads()
