"""What a script knows of a call whose connection has ended: each way of calling says the same, wherever it is cut."""

from __future__ import annotations

import asyncio
import os
import pickle
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
import easycluster_bootstrap
from easycluster import CallNotSent, Client, ConnectionLost, OutcomeUnknown, RemoteException, define_common
from helpers.client_states import break_connection
from helpers.cuts import Cut, CuttingRelay, end_both, end_one_way, reset_both
from helpers.remote_tasks import Tasks
from helpers.servers import Server
from helpers.waiting import wait_until

THREADED_TOO = True
TLS_TOO = True

DEFINITIONS = """
import os

def die(*ignored):
    os.kill(os.getpid(), 9)

def count():
    yield 1
    die()

class Thing(ServerObject):
    def die(self):
        die()

    @property
    def end(self):
        die()

def note(path, number, *ignored):
    with open(path, "a") as file:
        file.write(f"{number}\\n")
    return number
"""


@pytest.fixture
def client(connect: Any) -> Any:
    """A client with the definitions above."""
    define_common(DEFINITIONS)
    return connect()


async def wait_for(response: Any) -> Any:
    """Await a response."""
    return await response


def iterate(client: Any) -> list[Any]:
    """Use a generator of the host until it ends."""
    return list(client.count())


#: How a script makes a call that ends the process on the host, and raises its error.
WAYS: dict[str, Callable[[Any], Any]] = {
    "call": lambda client: client.die(),
    "wait": lambda client: client.die(nonblocking=True).wait(),
    "result": lambda client: client.die(nonblocking=True).result(),
    "await": lambda client: asyncio.run(wait_for(client.die(nonblocking=True))),
    "iteration": iterate,
    "method": lambda client: client.Thing().die(),
    "attribute": lambda client: client.Thing().end,
    "root": lambda client: client.get_root().eval("die()"),
    "call_multi": lambda client: easycluster.call_multi([client], "die"),
    "in time": lambda client: easycluster.options(client, timeout=600).die(),
    "wrapped": lambda client: client.die(origexc=False),
}


@pytest.mark.parametrize("way", WAYS)
def test_outcome_is_unknown(client: Any, way: str) -> None:
    """However a call is made, its error says that it may have been run, why the connection ended, and where; the error
    travels whole."""
    name = client.peername
    with pytest.raises(OutcomeUnknown, match=r"; the call of \w+ was sent, and may have been run$") as caught:
        WAYS[way](client)

    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (type(error), error.reason, error.host) == (OutcomeUnknown, "ended", name)
        assert error.started is None


def test_calls_after_the_end(client: Any) -> None:
    """A call that is made after the end was not sent, whatever it is made with."""
    thing, generator = client.Thing(), client.count()
    with pytest.raises(OutcomeUnknown):
        client.die()
    ways: list[Callable[[], Any]] = [
        client.die,
        lambda: client.die(nonblocking=True),
        thing.die,
        lambda: thing.end,
        lambda: next(generator),
        lambda: client.eval("1"),
        lambda: easycluster.call_multi([client], "die"),
        lambda: client.call(lambda: 1),
    ]
    for way in ways:
        with pytest.raises(CallNotSent, match="not sent") as caught:
            way()
        assert (caught.value.reason, caught.value.started) == ("ended", False)
        assert caught.value.host == client.peername

    client.close()
    for way in ways:
        with pytest.raises(CallNotSent) as caught:
            way()
        assert caught.value.host == client.peername


def test_completion_functions_and_futures(client: Any) -> None:
    """Completion functions get the error in a `RemoteException`, and `exception` returns it."""
    seen: list[Any] = []
    response = client.die(onerror=seen.append)
    error = response.exception(60)
    wait_until(lambda: len(seen) == 1)

    assert type(error) is OutcomeUnknown
    assert isinstance(seen[0], RemoteException)
    assert seen[0].orig is error
    assert seen[0].text == [f"OutcomeUnknown: {error}\n"]


def test_reasons(client: Any, connect: Any, transport: Any) -> None:
    """The reason is that the script closed the connection, that the process has ended, or that the connection broke."""
    response = client.signal.pause(nonblocking=True)
    client.close("enough")
    with pytest.raises(OutcomeUnknown, match="^enough$") as caught:
        response.wait()
    assert (caught.value.reason, caught.value.started) == ("closed", None)
    with pytest.raises(CallNotSent, match="^not connected to .* \\(closed\\): ") as refused:
        client.die()
    assert refused.value.reason == "closed"

    other = connect()
    break_connection(other)
    with pytest.raises(ConnectionLost) as broken:
        other.eval("1")
    assert broken.value.reason in (("ended", "lost") if transport.name == "local" else ("lost",))


def test_call_that_had_begun(task_definitions: None, connect: Any, tasks: Tasks) -> None:
    """A call of which the host has said that it began is known to have begun."""
    client = connect()
    pid = client.eval("__import__('os').getpid()")
    response = client.wait_for(tasks.path("a"), nonblocking=True, threadid=1)

    def is_known() -> bool:
        with pytest.raises(easycluster.CallTimeout) as caught:
            response.wait(timeout=0.05)
        return caught.value.state == "started"

    wait_until(is_known)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(
        OutcomeUnknown, match="the call of wait_for had begun there, and may have ended$"
    ) as lost:
        response.wait()
    assert lost.value.started is True


def test_client_that_was_never_connected() -> None:
    """A client that has no connection yet sends nothing."""
    with pytest.raises(CallNotSent, match="call connect") as caught:
        Client().eval("1")
    assert (caught.value.reason, caught.value.host) == ("unconnected", "")


# Cut at a byte.


class Effects:
    """What calls of `note` have done.

    Args:
        path: the file that they write.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._path = path
        self._said: dict[int, Any] = {}

    def try_to_call(self, client: Any, number: int, *values: Any) -> None:
        """Make the call with this number, and note what the script learns of it."""
        try:
            self._said[number] = client.note(self.path, number, *values)
        except ConnectionLost as error:
            assert error.host == client.peername
            self._said[number] = type(error)
        finally:
            client.close()

    def check(self) -> set[Any]:
        """Compare what was said with what was done, once all servers have ended; return the classes of errors."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        for number, said in self._said.items():
            done = lines.count(str(number))
            assert done in {CallNotSent: (0,), OutcomeUnknown: (0, 1)}.get(said, (1,)), (number, said)
        return {said for said in self._said.values() if isinstance(said, type)}


def sample(first: int, last: int, count: int) -> list[int]:
    """Some numbers between these two, and their neighbours."""
    step = max(1, (last - first) // count)
    return sorted({first, first + 1, *range(first, last, step), last - 1, last})


@pytest.mark.parametrize("cut", [end_both, end_one_way, reset_both])
@pytest.mark.parametrize("to_server", [False, True], ids=["to client", "to server"])
@pytest.mark.parametrize("tls", ["off", "require"])
def test_cut_calls(
    request: pytest.FixtureRequest, key: bytes, tmp_path: Path, to_server: bool, cut: Cut, tls: str
) -> None:
    """Wherever a call or its answer is cut, it runs once at most, and the error never says too much."""
    server: Server = request.getfixturevalue("tcp_server" if tls == "off" else "tls_server")
    define_common(DEFINITIONS)
    effects = Effects(tmp_path / "notes")

    def run(number: int, limit: int | None) -> tuple[int, int]:
        relay = CuttingRelay(server.port, to_server, limit, cut)
        client = Client(key, "127.0.0.1", relay.port, tls=tls)
        before = relay.passed[to_server]
        effects.try_to_call(client, number)
        relay.join()
        return before, relay.passed[to_server]

    before, after = run(0, None)
    # What closing takes is counted, too: such cuts come after the call.
    for limit in sample(before + 1, after, 8):
        run(limit, limit)

    assert effects.check() <= {OutcomeUnknown}


@pytest.mark.parametrize("clientclass", [Client, easycluster.ThreadedClient])
@pytest.mark.parametrize("tls", ["off", "require"])
def test_cut_large_calls(
    request: pytest.FixtureRequest, key: bytes, tmp_path: Path, tls: str, clientclass: Any
) -> None:
    """A call that is cut before the kernel could take all of it is known to be not sent."""
    server: Server = request.getfixturevalue("tcp_server" if tls == "off" else "tls_server")
    define_common(DEFINITIONS)
    effects = Effects(tmp_path / "notes")
    for number, cut in enumerate((end_both, end_one_way, reset_both)):
        relay = CuttingRelay(server.port, True, 3_000_001, cut)
        client = clientclass(key, "127.0.0.1", relay.port, tls=tls)
        effects.try_to_call(client, number, bytes(40_000_000))
        relay.join()

    assert effects.check() == {CallNotSent}


#: Runs the remote command here, and ends when so many bytes have passed in one direction. Notes how many have passed.
PASSING = """\
#!{python} -IS
import os, subprocess, sys, threading
if sys.argv[1] == "-G":
    sys.exit(1)
host = subprocess.Popen(["sh", "-c", sys.argv[-1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
passed = [0, 0]

def pass_on(source, target, way, limit):
    while True:
        data = os.read(source, 65536)
        if limit is not None:
            data = data[:limit - passed[way]]
        if not data:
            os._exit(0)
        passed[way] += len(data)
        with open({path!r}, "w") as file:
            file.write("%d %d" % tuple(passed))
        os.write(target, data)
        if passed[way] == limit:
            os._exit(0)

threading.Thread(target=pass_on, args=(0, host.stdin.fileno(), 0, {to!r})).start()
pass_on(host.stdout.fileno(), 1, 1, {back!r})
"""


def test_cut_calls_by_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a private connection, through a program in the place of ssh."""
    marker = b"easycluster-0123456789abcdef0123456789abcdef"
    monkeypatch.setattr(easycluster_bootstrap, "new_marker", lambda: marker)  # its length when packed differs
    define_common(DEFINITIONS)
    effects = Effects(tmp_path / "notes")
    program = tmp_path / "ssh"

    noted = tmp_path / "passed"

    def run(number: int, to: int | None = None, back: int | None = None) -> list[int]:
        values = {"python": sys.executable, "path": str(noted), "to": to, "back": back}
        program.write_text(PASSING.format(**values))
        program.chmod(0o755)
        client = Client(None, "h", ssh=str(program), rpython=f"{shlex.quote(sys.executable)} -I -S")
        opened = [int(text) for text in noted.read_text().split()]
        effects.try_to_call(client, number)
        return opened

    opened = run(0)
    whole = [int(text) for text in noted.read_text().split()]
    for number in sample(opened[0] + 1, whole[0], 4):
        run(number, to=number)
    for number in sample(opened[1] + 1, whole[1], 4):
        run(1_000_000 + number, back=number)

    assert effects.check() <= {OutcomeUnknown}
