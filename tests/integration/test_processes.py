"""What ends, and what stays, when a master, a worker or a connection ends."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import ConnectionLost, define_common
from easycluster_server._system.posix.proc import Process, read_process
from helpers.masters import (
    Master,
    all_below,
    end,
    identify,
    lives,
    wait_until_gone,
    way_to_server,
)
from helpers.waiting import PATIENCE, wait_until

UPGRADED_TOO = True

Record = Callable[[str, object], None]

REMOTE = '''
import atexit, ctypes, os, signal, subprocess, sys, time

STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.write(1, b"x")
time.sleep(600)
"""

def start_child():
    """Start a process in the worker's session that ignores the signals by which one asks to end."""
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", STUBBORN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    child.stdout.read(1)
    return child.pid

def start_daemon():
    """Start a process that has left the worker's session as daemons do."""
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, b"%d" % os.getpid())
            for descriptor in range(3):
                os.dup2(null, descriptor)
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    os.wait()
    os.close(null)
    os.close(writing)
    try:
        return int(os.read(reading, 20))
    finally:
        os.close(reading)

def start_family():
    return [os.getppid(), os.getpid(), start_child(), start_daemon()]

def start_detached():
    from easycluster.server import detach

    popen = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    detach(popen)
    daemon = start_daemon()
    detach(daemon)
    return [popen.pid, daemon]

def pids():
    return [os.getppid(), os.getpid()]

def blob(size):
    return bytes(size)

def note(path):
    with open(path, "a") as file:
        file.write("x")

def sleep(path):
    note(path)
    try:
        time.sleep(600)
    finally:
        note(path)

def spin(path):
    note(path)
    while True:
        pass

def swallow(path):
    note(path)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def ignore(path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    note(path)
    time.sleep(600)

def block_interpreter(path):
    note(path)
    ctypes.PyDLL(None).sleep(600)  # keeps the interpreter's lock

def leave(status):
    os._exit(status)

def crash():
    ctypes.string_at(0)

def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)

def note_at_exit(path):
    atexit.register(note, path)
'''

#: The master connects, starts processes over there, makes calls whose answers it does not read, and waits.
BUSY_MASTER = """
define_common(HOW["remote"])
client = connect()
pids = client.start_family()
detached = client.start_detached() if HOW["detach"] else []
responses = [client.blob(1000000, nonblocking=True) for _ in range(HOW["megabytes"])]
say(pids=pids, detached=detached)
signal.pause()
"""


@pytest.fixture
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.fixture
def family(remote: None, client: Any) -> list[Process]:
    """Guardian, worker, a stubborn child and a daemon of ``client``'s server."""
    return identify(*client.start_family())


def start_busy_master(
    request: pytest.FixtureRequest, transport: Any, folder: Path, *, megabytes: int = 0, detach: bool = False
) -> Master:
    """Start `BUSY_MASTER`."""
    way = way_to_server(request, transport.name, transport.server)
    how = {**way, "remote": REMOTE, "megabytes": megabytes, "detach": detach}
    return Master(how, BUSY_MASTER, folder)


class Waiters:
    """Threads that wait for the answers of calls, and what became of them."""

    def __init__(self, responses: list[Any]) -> None:
        self.errors: list[BaseException] = []
        self.ended = 0.0
        self._threads = [threading.Thread(target=self._wait, args=(each,)) for each in responses]
        for thread in self._threads:
            thread.start()

    def _wait(self, response: Any) -> None:
        try:
            response.wait()
        except BaseException as error:
            self.errors.append(error)
            self.ended = time.monotonic()

    def join(self) -> None:
        """Wait until every call has failed."""
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)
        assert len(self.errors) == len(self._threads)


# The master dies.


@pytest.mark.parametrize("megabytes", [0, 1, 50])
def test_killed_master_leaves_nothing(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, megabytes: int, record_property: Record
) -> None:
    """A master that is killed, with or without results that it has not read, leaves no process anywhere."""
    with start_busy_master(request, transport, tmp_path, megabytes=megabytes) as master:
        pids = master.hear()["pids"]
        processes = {*all_below(master.pid)[1:], *all_below(pids[0]), *identify(*pids)}
        begin = time.monotonic()
        master.kill()
        wait_until_gone(list(processes))
        record_property("seconds", time.monotonic() - begin)

    assert len(processes) >= len(pids)


def test_killed_master_spares_what_was_detached(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path
) -> None:
    """Processes that were given to `detach` live on when the master is killed, and no others."""
    with start_busy_master(request, transport, tmp_path, detach=True) as master:
        heard = master.hear()
        others, detached = identify(*heard["pids"]), identify(*heard["detached"])
        master.kill()
        wait_until_gone(others)

    for process in detached:
        end(process)


def test_master_that_ends_without_close_leaves_no_worker(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path
) -> None:
    """A master that comes to its end with an open connection ends quietly, and so does the worker."""
    script = "client = connect()\nsay(pids=client.eval('[__import__(\"os\").getpid()]'))\nhear()\n"
    with Master(way_to_server(request, transport.name, transport.server), script, tmp_path) as master:
        processes = identify(*master.hear()["pids"])
        master.say()
        status = master.wait()
        wait_until_gone(processes)

    assert (status, master.errors) == (0, "")


def test_master_that_closes_and_ends_at_once(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path
) -> None:
    """A close right before the master's end is still a clean one: exit functions run, daemons stay."""
    noted = tmp_path / "noted"
    script = """
        define_common(HOW["remote"])
        client = connect()
        client.note_at_exit(HOW["noted"])
        say(pids=client.start_family())
        client.close()
        os._exit(0)
    """
    how = {**way_to_server(request, transport.name, transport.server), "remote": REMOTE, "noted": str(noted)}
    with Master(how, script, tmp_path) as master:
        pids = master.hear()["pids"]
        daemon = identify(pids[3])
        master.wait()
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids[:3]))

    assert noted.read_text() == "x"
    end(*daemon)


# The worker dies.


def kill_worker(client: Any, worker: Process) -> None:
    """From outside."""
    os.kill(worker.pid, signal.SIGKILL)


def kill_guardian(client: Any, worker: Process) -> None:
    """From outside."""
    os.kill(worker.parent, signal.SIGKILL)


def kill_from_inside(client: Any, worker: Process) -> None:
    """By a call."""
    client.kill_self(nonblocking=True)


def exit_from_inside(client: Any, worker: Process) -> None:
    """By a call, with status 0."""
    client.leave(0, nonblocking=True)


def crash_from_inside(client: Any, worker: Process) -> None:
    """By a call."""
    client.crash(nonblocking=True)


@pytest.mark.parametrize(
    "kill", [kill_worker, kill_guardian, kill_from_inside, exit_from_inside, crash_from_inside]
)
def test_dead_worker_fails_every_call(
    remote: None, client: Any, tmp_path: Path, record_property: Record, kill: Callable[..., None]
) -> None:
    """When the worker or its guardian dies, every waiting call raises an error that is an OSError and an EOFError."""
    guardian, worker = identify(*client.pids())
    noted = tmp_path / "noted"
    calls = [client.sleep(str(noted), threadid=number, nonblocking=True) for number in range(1, 4)]
    waiters = Waiters(calls)
    wait_until(lambda: noted.exists() and noted.read_text() == "xxx")
    begin = time.monotonic()
    kill(client, worker)
    waiters.join()
    record_property("seconds", waiters.ended - begin)
    wait_until_gone([guardian, worker])

    assert all(isinstance(error, ConnectionLost) for error in waiters.errors)
    assert all(isinstance(error, OSError) and isinstance(error, EOFError) for error in waiters.errors)
    assert not client.connected
    with pytest.raises(ConnectionLost):
        client.pids()


@pytest.mark.parametrize("kill", [kill_worker, exit_from_inside])
def test_dead_worker_leaves_nothing(family: list[Process], client: Any, kill: Callable[..., None]) -> None:
    """When the worker dies, everything that it started ends, daemons too."""
    kill(client, family[1])

    wait_until_gone(family)


def test_stopped_worker_does_not_outlive_its_connection(family: list[Process], client: Any) -> None:
    """A worker that was stopped by a signal ends with its connection nevertheless."""
    os.kill(family[1].pid, signal.SIGSTOP)
    wait_until(lambda: read_process(family[1].pid).state == "T")  # type: ignore[union-attr]
    client.close()

    wait_until_gone(family)


# The connection is closed.


def test_close_ends_the_session(family: list[Process], client: Any, tmp_path: Path) -> None:
    """A clean close runs the exit functions, ends the worker and the processes of its session, and no daemon."""
    noted = tmp_path / "noted"
    client.note_at_exit(str(noted))
    *session, daemon = family
    client.close()
    wait_until_gone(session)

    assert noted.read_text() == "x"
    assert lives(daemon)
    end(daemon)


@pytest.mark.parametrize(
    ("what", "threadid"),
    [("sleep", 0), ("spin", 0), ("swallow", 0), ("ignore", 0), ("sleep", 1), ("spin", 1)],
)
def test_close_ends_a_running_call(
    family: list[Process], client: Any, tmp_path: Path, what: str, threadid: int
) -> None:
    """A clean close ends the worker also when a call is running, one that cannot be interrupted too."""
    noted = tmp_path / "noted"
    *session, daemon = family
    response = getattr(client, what)(str(noted), threadid=threadid, nonblocking=True)
    wait_until(noted.exists)
    client.close()
    wait_until_gone(session)

    with pytest.raises(ConnectionLost):
        response.wait()
    if what == "sleep" and not threadid:
        assert noted.read_text() == "xx", "the finally block has run"
    end(daemon)


def test_close_ends_a_worker_that_cannot_speak(family: list[Process], client: Any, tmp_path: Path) -> None:
    """A worker in C code that keeps the interpreter to itself ends too; its connection counts as lost."""
    noted = tmp_path / "noted"
    client.block_interpreter(str(noted), nonblocking=True)
    wait_until(noted.exists)
    client.close()

    wait_until_gone(family)


def test_close_with_unread_answers_is_clean(family: list[Process], client: Any) -> None:
    """A close is a clean one although answers of 50 MB are still on their way."""
    *session, daemon = family
    responses = [client.blob(1000000, nonblocking=True) for _ in range(50)]
    client.close()
    wait_until_gone(session)

    assert len(responses) == 50
    end(daemon)


def test_dropped_client_leaves_no_worker(remote: None) -> None:
    """A client that is forgotten without close() ends its worker."""
    client = easycluster.server.spawn_local()
    processes = identify(*client.pids())
    del client
    gc.collect()

    wait_until_gone(processes)


def test_interrupt_from_outside_does_not_end_an_idle_worker(remote: None, client: Any) -> None:
    """SIGINT to an idle worker does nothing."""
    _, worker = client.pids()
    for _ in range(10):
        os.kill(worker, signal.SIGINT)

    assert client.pids()[1] == worker
