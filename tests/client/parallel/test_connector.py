"""Making many connections: how many at once, what is tried again, and what ends them all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easycluster_client._address import Address
from easycluster_client._api.client import Client
from easycluster_client._attempts import find_attempt
from easycluster_client._parallel import connector as connector_module
from easycluster_client._parallel.connector import Connector
from easycluster_client._parallel.progress import Progress
from easycluster_client._ssh import hops
from easycluster_protocol.errors import ConnectError, ConnectionLost
from helpers.noted_client import NotedClient
from helpers.waiting import PATIENCE, wait_until

DROPPED = ConnectError(
    "cannot connect to h by SSH\n    kex_exchange_identification: read: Connection reset by peer"
)


class Hosts:
    """Hosts that answer when the test tells them to.

    Attributes:
        asked: the specs of connections that have begun, in order.
    """

    def __init__(self) -> None:
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._answers: dict[str, queue.SimpleQueue[Any]] = {}
        self._is_over = False

    def connect(self, spec: str) -> Client:
        """Wait for the answer of a host; stand for `Client.from_spec`."""
        attempt = find_attempt()
        assert attempt is not None
        answers = self._find(spec)
        attempt.end_by(lambda: answers.put(ConnectionLost("it was ended")))
        self.asked.put(spec)
        found = None if self._is_over else answers.get(timeout=PATIENCE)
        if isinstance(found, BaseException):
            raise found
        return found or NotedClient()

    def _find(self, spec: str) -> queue.SimpleQueue[Any]:
        return self._answers.setdefault(spec, queue.SimpleQueue())

    def answer(self, spec: str, found: Any = None) -> None:
        """Let a host answer."""
        self._find(spec).put(found)

    def next(self, count: int) -> set[str]:
        """Return the next connections that begin."""
        return {self.asked.get(timeout=PATIENCE) for _ in range(count)}

    def none_has_begun(self) -> bool:
        """Whether no connection has begun beside those that were returned."""
        return self.asked.empty()


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """The hosts; those whose names have the same first letter have the same first hop."""
    monkeypatch.setattr(connector_module, "find_first_hop", lambda address: address.host[0])
    monkeypatch.setattr(connector_module, "_FIRST_PAUSE", 0.001)
    return Hosts()


@pytest.fixture
def connect(hosts: Hosts) -> Iterator[Callable[..., Connector]]:
    """Begins to connect; in the end everything is over."""
    made: list[Connector] = []

    def connect(*specs: str, width: int = 8, timeout: float | None = None) -> Connector:
        connector = Connector(list(specs), None, hosts.connect, width, timeout, Progress(False, len(specs)))
        made.append(connector)
        connector.start()
        return connector

    yield connect
    for connector in made:
        connector.interrupt()


def ended(connector: Connector) -> Any:
    """Wait for the end; return the clients and errors."""
    connector.wait()
    return connector.take_hosts()


def test_width_of_a_first_hop(hosts: Hosts, connect: Callable[..., Connector]) -> None:
    """No more connections with the same first hop are made at once than are allowed; others do not wait for them."""
    specs = ["a@a1", "a@a2", "a@a3", "a@b1", "a@b2"]
    connector = connect(*specs, width=2)
    first = hosts.next(4)
    nothing_more = hosts.none_has_begun()
    (left,) = {"a@a1", "a@a2", "a@a3"} - first
    for spec in first:
        hosts.answer(spec)
    assert hosts.next(1) == {left}
    hosts.answer(left)

    assert nothing_more
    assert list(ended(connector)) == specs


def test_limit_for_all(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many connections are new at once, whatever their first hop."""
    monkeypatch.setattr(connector_module, "_MOST_NEW", 3)
    connector = connect(*(f"h{number}:1" for number in range(4)))
    first = hosts.next(3)
    nothing_more = hosts.none_has_begun()
    for number in range(4):
        hosts.answer(f"h{number}:1")

    assert nothing_more
    assert len(first) == 3
    assert len(ended(connector)) == 4


def test_host_that_hangs_costs_nobody_time(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts that take long make room for others, also for those with the same first hop."""
    monkeypatch.setattr(connector_module, "_LONG", 0.02)
    monkeypatch.setattr(connector_module, "_MOST_NEW", 2)
    specs = [f"a@h{number}" for number in range(6)]
    connector = connect(*specs, width=1)
    begun = hosts.next(6)
    for spec in specs:
        hosts.answer(spec)

    assert begun == set(specs)
    assert len(ended(connector)) == 6


def test_dropped_connection_is_tried_again(hosts: Hosts, connect: Callable[..., Connector]) -> None:
    """A connection that the server dropped before the login is made again; no other failure is."""
    for answer in (DROPPED, DROPPED, None):
        hosts.answer("a@h1", answer)
    hosts.answer("a@h2", ConnectError("no route"))
    found = ended(connect("a@h1", "a@h2"))

    assert list(found) == ["a@h1"]
    assert str(found.errors["a@h2"]) == "no route"


def test_dropped_connection_is_tried_for_its_time(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is not tried again when its own limit would be over."""
    monkeypatch.setattr(connector_module, "_FIRST_PAUSE", 100.0)
    hosts.answer("a@h1:connect_timeout=1", DROPPED)
    found = ended(connect("a@h1:connect_timeout=1"))

    assert found.errors == {"a@h1:connect_timeout=1": DROPPED}


def test_limit_of_time(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is over the attempts end; those that have begun and those that have not are errors that say so."""
    is_over = threading.Event()
    monkeypatch.setattr(connector_module, "seconds_until", lambda _: 0.0 if is_over.is_set() else 0.01)
    monkeypatch.setattr(connector_module, "_MOST_NEW", 1)
    connector = connect("h1:1", "h2:1", timeout=5)
    hosts.next(1)
    is_over.set()
    found = ended(connector)

    assert list(found) == []
    text = "no answer within 5 seconds, the limit for all hosts together"
    assert [str(error) for error in found.errors.values()] == [
        f"cannot connect to h1:1: {text}",
        f"cannot connect to 'h2:1': {text}",
    ]
    assert isinstance(found.errors["h1:1"].__cause__, ConnectionLost)


class ClosedClient(NotedClient):
    """A client that notes its end."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["end"] = threading.Event()

    def close(self, message: str = "Connection closed") -> None:
        vars(self)["end"].set()


def is_closed(client: Client) -> bool:
    """Wait until a client is closed."""
    return bool(vars(client)["end"].wait(PATIENCE))


def test_interrupt(hosts: Hosts, connect: Callable[..., Connector]) -> None:
    """It ends the attempts, and closes the clients that are connected, and those that are too late."""
    early, late = ClosedClient(), ClosedClient()
    connector = connect("h1:1", "h2:1", "h3:1")
    hosts.next(3)
    hosts.answer("h1:1", early)
    hosts.answer("h2:1", late)
    connector.interrupt()

    assert is_closed(early)
    assert is_closed(late)
    assert "the script was interrupted" in str(connector.take_hosts().errors["h3:1"])


def test_thread_that_cannot_be_started(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection for which there is no thread is an error of its host."""

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    found = ended(connect("h1:1"))

    assert str(found.errors["h1:1"]) == "can't start new thread"


def test_hop_that_cannot_be_found(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ssh that cannot say its first hop may connect all the same."""
    monkeypatch.setattr(connector_module, "find_first_hop", hops.find_first_hop)
    spec = "h1:ssh=/no/such/program"
    hosts.answer(spec)

    assert list(ended(connect(spec))) == [spec]


def test_interrupt_while_hops_are_found(
    hosts: Hosts, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ssh is asked for no further first hops then, and nobody is left who asks."""
    asked, may_go_on = queue.SimpleQueue[str](), threading.Event()

    def find_slowly(address: Address) -> str:
        asked.put(address.host)
        may_go_on.wait(PATIENCE)
        return address.host

    monkeypatch.setattr(connector_module, "find_first_hop", find_slowly)
    before = threading.active_count()
    connector = connect(*(f"a@h{number}" for number in range(20)))
    for _ in range(4):
        asked.get(timeout=PATIENCE)
    thread = threading.Thread(target=connector.interrupt)
    thread.start()
    wait_until(lambda: connector.is_over)
    may_go_on.set()
    thread.join(PATIENCE)

    assert asked.empty()
    wait_until(lambda: threading.active_count() == before)
    assert hosts.none_has_begun()
