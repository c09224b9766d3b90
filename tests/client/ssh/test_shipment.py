"""Our code is sent in two bundles, which have all of it; the second goes ahead of the first call, in any case."""

from __future__ import annotations

import ast
import pickle
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_bootstrap import new_marker
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session.session import ClientSession
from easycluster_client._ssh import shipment
from easycluster_protocol._limits import SMALL_MESSAGE_BYTES
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import HEAD_SIZE, Message
from easycluster_protocol.errors import ConnectionLost
from easycluster_server._io.transport import SocketTransport
from easycluster_server._serving.sent_modules import _unpack
from helpers.bundles import read_bundle
from helpers.checkpoints import places, strike
from helpers.pair import LinkPair, take_messages
from helpers.waiting import PATIENCE


class Pair:
    """A session that sends a calls bundle, and the other end."""

    def __init__(self) -> None:
        links = LinkPair()
        ours, self.socket = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self._link = links.server
        self.session = ClientSession(links.client, SocketTransport(ours), "the server")
        self.asked = 0
        self.session.send_before_first_call(m.MODULES, self._body)
        self._client: Any = SimpleNamespace(peername="the server", _easycluster_calls=self)

    def _body(self) -> bytes:
        self.asked += 1
        return b"the calls bundle"

    def run_completions(self) -> None:
        """Stands for that of a client."""

    def request(self) -> NonblockingResponse:
        """Make a call; return its response."""
        response = NonblockingResponse(self._client, "f", self.session)
        self.session.request(response, m.CALL, b"", (), 0)
        return response

    def received(self) -> list[int]:
        """The kinds of all messages that were sent, and of two more calls."""
        self.request()
        last = self.request().request_id
        found: list[Message] = []
        while not any(message.request == last for message in found):
            data = self.socket.recv(1 << 16)
            assert data
            self._link.receive_data(data)
            found += take_messages(self._link)
        return [message.kind for message in found]

    def answer(self, response: NonblockingResponse) -> None:
        """Answer a call."""
        self.socket.sendall(
            self._link.data_to_send(Message(m.RESULT, response.request_id, pickle.dumps("value")))
        )

    def close(self) -> None:
        """End everything."""
        self.socket.close()
        self.session.close("closed by the test")


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends."""
    pair = Pair()
    yield pair
    pair.close()


def test_the_calls_bundle_goes_ahead_of_the_first_call(pair: Pair) -> None:
    """It is sent once, when something is called."""
    first = pair.request()
    second = pair.request()

    assert pair.received() == [m.MODULES, *[m.CALL] * 4]
    for response in (first, second):
        pair.answer(response)
        assert response.wait() == "value"
    assert pair.asked == 1


def test_other_messages_do_not_bring_it(pair: Pair) -> None:
    """What goes ahead of the first call, as cloudpickle may, does not count as one."""
    pair.session.control(m.MODULES, 0, b"cloudpickle")

    assert pair.asked == 0
    assert pair.received() == [m.MODULES, m.MODULES, m.CALL, m.CALL]


def test_a_connection_that_is_lost_at_once(pair: Pair) -> None:
    """When the connection ends before the calls bundle is sent, the call fails as always."""
    pair.session.transport.shutdown()
    with pytest.raises(ConnectionLost):
        for _ in range(3):
            pair.request()


def test_interrupted_everywhere() -> None:
    """Wherever a signal handler raises in the first call, the calls bundle comes ahead of all calls."""

    def interrupt(at: int) -> bool:
        pair = Pair()
        try:
            outcome = strike(pair.request, at)
            kinds = pair.received()
            assert kinds[0] == m.MODULES, outcome.where
            assert kinds.count(m.CALL) in (2, 3), outcome.where
            return outcome.struck > 0
        finally:
            pair.close()

    assert places(interrupt) > 10


def test_the_bundles_have_all_modules() -> None:
    """No module is in both bundles, and none is left out."""
    everything = set(shipment.collect_sources())
    second = set(_unpack(shipment.calls_bundle()))

    assert everything - second == shipment.STARTUP_MODULES
    assert second < everything


def test_the_startup_bundle() -> None:
    """It has the modules that a connection needs, and what the client says about itself."""
    modules, session = read_bundle(shipment.startup_bundle(b"marker", 5, True))

    assert modules == shipment.STARTUP_MODULES
    assert session == b"marker\neasycluster_server._stdio:main\n5 1"


def test_the_startup_bundle_is_small() -> None:
    """What goes to a host before the first call has a limit, which `make check` watches module by module."""
    assert len(shipment.startup_bundle(new_marker(), 5, False)) <= shipment.MAX_STARTUP_BYTES


def test_the_calls_bundle_is_a_small_message() -> None:
    """The modules that come first fit one frame: the one that receives large messages is among them."""
    assert len(shipment.calls_bundle()) + HEAD_SIZE <= SMALL_MESSAGE_BYTES


def _find_imports(name: str, is_package: bool, body: list[ast.stmt]) -> Iterator[str]:
    """Return what statements import when they run on a host, as names of modules or of things in them."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (each.name for each in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - statement.level + is_package]
            module = ".".join([*(above if statement.level else ()), *filter(None, [statement.module])])
            yield from (f"{module}.{each.name}" for each in statement.names)
        elif isinstance(statement, ast.If):
            test = ast.unparse(statement.test)
            is_elsewhere = test in ("TYPE_CHECKING", "sys.platform == 'win32'")
            yield from _find_imports(name, is_package, statement.orelse if is_elsewhere else statement.body)


def test_what_is_sent_imports_what_is_sent() -> None:
    """No module that is sent needs one, when it is imported, that hosts do not have."""
    sources = shipment.collect_sources()
    missing = {
        f"{name} imports {imported}"
        for name, (source, is_package) in sources.items()
        for imported in _find_imports(name, is_package, ast.parse(source).body)
        if imported.startswith("easycluster")
        and imported not in sources
        and imported.rpartition(".")[0] not in sources
    }

    assert not missing
