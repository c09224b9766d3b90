"""The guardian with real processes; the integration tests have it with real workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from easycluster_server._system.posix.proc import Process, find_descendants, read_process, read_processes
from helpers.masters import end, identify, lives, wait_until_gone
from helpers.namespaces import WITHOUT_PROC
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.integration

#: Becomes a guardian; its child runs the worker's code of the test, which may call what stands here.
SCRIPT = """
import os, signal, socket, subprocess, sys, time
from easycluster_server._system.posix import guardian
from easycluster_server._system import control
from easycluster_server._system.posix import libc
from easycluster_server._system.detach import detach
from easycluster_server._io.transport import SocketTransport

guardian.REPORT_GRACE, guardian.CLOSE_GRACE, guardian.KILL_GRACE = map(float, sys.argv[3:6])
link = socket.socket(fileno=int(sys.argv[1]))
libc.become_subreaper()
reading, writing = os.pipe()
ready = os.pipe()

def start(*arguments, leave=False):
    process = subprocess.Popen(["sleep", "600"], start_new_session=leave)
    say(process.pid)
    return process

def say(*values):
    # At once: other processes say something, too.
    os.write(1, (" ".join(map(str, values)) + "\\n").encode())

def wait():
    sys.stdin.read(1)

def report(how):
    os.write(writing, how.encode() + b"\\n")

def tell(end):
    try:
        link.send(end.encode())
    except OSError:  # the test has closed it
        pass

worker = os.fork()
if worker == 0:
    os.close(reading)
    os.setsid()
    control.set_control(writing)
    os.close(ready[1])
    os.read(ready[0], 1)
    say(os.getpid())
    exec(sys.argv[2])
    os._exit(0)
os.close(writing)
guardian = guardian.Guardian(worker, SocketTransport(link), reading, os.pipe(), tell)
os.write(ready[1], b"x")
guardian.watch()
"""


class Watched:
    """A running guardian.

    Args:
        code: what its worker does; each number that it says is a process.
        said: how many processes it says.
        graces: the three graces of the guardian, in seconds.
        prefix: a command that runs it.
    """

    def __init__(
        self, code: str, said: int, graces: tuple[float, float, float], prefix: tuple[str, ...] = ()
    ) -> None:
        self.link, theirs = socket.socketpair()
        self.link.settimeout(PATIENCE)
        with theirs:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-c", SCRIPT, str(theirs.fileno()), code, *map(str, graces)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.processes = self.hear(said)

    def hear(self, count: int) -> list[Process]:
        """Return the processes that the worker says next."""
        assert self.process.stdout is not None
        return identify(*(int(self.process.stdout.readline()) for _ in range(count)))

    def go(self) -> None:
        """Let the worker go on that called ``wait()``."""
        assert self.process.stdin is not None
        self.process.stdin.write("x")
        self.process.stdin.flush()

    def wait(self) -> int:
        """Wait for the guardian's end."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End everything."""
        self.link.close()
        self.process.kill()
        for process in self.processes:
            if lives(process):
                os.kill(process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


Watch = Callable[..., Watched]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Starts guardians; by default none of their graces ends within a test."""
    running: list[Watched] = []

    def watch(
        code: str,
        said: int = 1,
        graces: tuple[float, float, float] = (600, 600, 600),
        prefix: tuple[str, ...] = (),
    ) -> Watched:
        running.append(Watched(code, said, graces, prefix))
        return running[-1]

    yield watch
    for watched in running:
        watched.close()


def test_closed_connection(watch: Watch) -> None:
    """When the worker says that the client closed, its session ends, after it, and a daemon stays."""
    watched = watch("start(); start(leave=True); link.recv(1); report('closed')", 3)
    worker, child, daemon = watched.processes
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone([worker, child])
    end(daemon)


def test_closed_connection_of_a_worker_that_stays(watch: Watch) -> None:
    """A worker that says so and does not end is killed after its grace, with its session."""
    code = (
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "start(); wait(); report('closed'); time.sleep(600)"
    )
    watched = watch(code, 2, (600, 0.1, 5))
    watched.go()

    assert watched.wait() == 0
    wait_until_gone(watched.processes)


@pytest.mark.parametrize(
    ("number", "shown"), [(signal.SIGSEGV, "11 (SIGSEGV)"), (signal.SIGABRT, "6 (SIGABRT)"), (40, "40")]
)
def test_killed_worker(watch: Watch, capfd: pytest.CaptureFixture[str], number: int, shown: str) -> None:
    """The signal that ended a worker is said, behind the end of what it had started."""
    watched = watch("start(); wait()", 2)
    worker, child = watched.processes
    os.kill(worker.pid, number)

    assert watched.wait() == 0
    wait_until_gone([child])
    name = f"the process {worker.pid} on {os.uname().nodename}"
    assert capfd.readouterr().err == f"easycluster: {name} was ended by signal {shown}\n"


def test_lost_connection(watch: Watch) -> None:
    """When the worker says that the connection was lost, everything ends that it started."""
    watched = watch("start(); start(leave=True); link.recv(1); report('lost'); time.sleep(600)", 3)
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone(watched.processes)


def test_worker_that_says_nothing(watch: Watch, capfd: pytest.CaptureFixture[str]) -> None:
    """A worker that does not say in time how the connection ended counts as lost; SIGTERM is not enough for it.

    The guardian does not report the signal that it sent itself.
    """
    code = "signal.signal(15, signal.SIG_IGN); start(leave=True); time.sleep(600)"
    watched = watch(code, 2, (0.1, 600, 0.1))
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone(watched.processes)
    assert capfd.readouterr().err == ""


def test_worker_that_ends_by_itself(watch: Watch) -> None:
    """When the worker ends without a word, its client is told at once, and what it started ends."""
    watched = watch("start(); start(leave=True); wait()", 3)
    watched.go()

    assert watched.link.recv(100) == b"status 0"
    assert watched.link.recv(1) == b""
    assert watched.wait() == 0
    wait_until_gone(watched.processes)


def test_detached_processes_stay(watch: Watch) -> None:
    """Processes that were detached, with the worker's last breath even, stay with their children; others do not."""
    code = (
        "start(); detached = start()\n"
        "family = subprocess.Popen(['sh', '-c', 'sleep 600 & echo $!; wait'])\n"
        "say(family.pid); detach(detached); detach(family.pid)\n"
        "wait(); os.kill(os.getpid(), 9)"
    )
    watched = watch(code, 3)
    worker, other, detached = watched.processes
    family = sorted(watched.hear(2), key=lambda process: process.pid)
    watched.go()

    assert watched.wait() == 0
    wait_until_gone([worker, other])
    for process in [*family, detached]:
        end(process)


def test_guardian_that_is_told_to_end(watch: Watch) -> None:
    """SIGTERM ends the connection; the worker has its say, and what the client said before still counts."""
    code = "while link.recv(1) not in (b'', b'c'): pass\nreport('closed'); start(leave=True); wait()"
    watched = watch(code)
    watched.link.send(b"abc")
    os.kill(watched.process.pid, signal.SIGTERM)
    (daemon,) = watched.hear(1)
    watched.go()

    assert watched.wait() == 0
    wait_until_gone(watched.processes)
    end(daemon)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_guardian_of_a_deaf_worker_is_told_to_end(watch: Watch, number: int) -> None:
    """A worker that does not react is given its time and no more."""
    watched = watch("start(leave=True); time.sleep(600)", 2, (0.1, 600, 5))
    os.kill(watched.process.pid, number)

    assert watched.wait() == 0
    assert watched.link.recv(1) == b""
    wait_until_gone(watched.processes)


def test_many_daemons(watch: Watch) -> None:
    """Any number of processes that left the session and lost their parent ends."""
    code = (
        "signal.signal(15, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    for _ in range(20):\n"
        "        if os.fork() == 0: os.setsid(); time.sleep(600)\n"
        "    os._exit(0)\n"
        "time.sleep(600)"
    )
    watched = watch(code, 1, (0.1, 600, 0.3))
    below = wait_until(lambda: _below(watched.process.pid, 21))
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone([*watched.processes, *below])


def _below(pid: int, count: int) -> list[Process]:
    """The processes below one, when there are so many of them."""
    found = find_descendants(pid, read_processes())
    return found if len(found) >= count else []


def test_nothing_is_left_as_a_zombie(watch: Watch) -> None:
    """What became the guardian's child is reaped by it."""
    watched = watch("start(leave=True); link.recv(1); os._exit(0)", 2)
    watched.link.close()
    watched.wait()

    for process in watched.processes:
        found = read_process(process.pid)
        assert found is None or found.started != process.started


@pytest.mark.needs_mounts
def test_proc_of_other_processes(watch: Watch) -> None:
    """In a namespace whose /proc shows other processes the worker is all that the guardian knows to end."""
    # It has the id 1 there; what that /proc shows below 1 does not end.
    code = "signal.signal(15, signal.SIG_IGN); link.recv(1); report('lost'); wait()"
    watched = watch(code, 0, (600, 600, 0.1), ("unshare", "--pid", "--fork"))
    watched.link.close()

    assert watched.wait() == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os.kill(os.getpid(), 9)", b"signal 9 (SIGKILL)"),
        ("os._exit(3)", b"status 3"),
        ("os.closerange(3, 100); time.sleep(600)", b"replaced"),
        ("report('lost'); os._exit(0)", b""),
        ("report('closed'); os._exit(0)", b""),
    ],
)
def test_last_words(watch: Watch, how: str, words: bytes) -> None:
    """The client is told how a worker ended that could not speak, before it sees the end of the connection."""
    watched = watch(how, 1)
    with watched.link.makefile("rb") as stream:
        assert stream.read() == words


# Where there is no /proc.


@pytest.mark.needs_mounts
@pytest.mark.parametrize(
    "how", ["report('lost'); time.sleep(600)", "os._exit(0)", "os.kill(os.getpid(), 11)"]
)
def test_lost_connection_without_proc(watch: Watch, how: str) -> None:
    """The worker's group ends, whether the worker still lives or ended first; a daemon stays."""
    watched = watch(f"start(); start(leave=True); link.recv(1); {how}", 3, prefix=WITHOUT_PROC)
    worker, child, daemon = watched.processes
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone([worker, child])
    end(daemon)


@pytest.mark.needs_mounts
def test_deaf_processes_without_proc(watch: Watch) -> None:
    """What ignores signals is killed, after the worker too."""
    code = (
        "for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "start(); start(); wait(); os._exit(0)"
    )
    watched = watch(code, 3, (600, 600, 0.1), WITHOUT_PROC)
    watched.go()

    assert watched.wait() == 0
    wait_until_gone(watched.processes)


@pytest.mark.needs_mounts
@pytest.mark.parametrize("ignored", ["", "signal.signal(1, signal.SIG_IGN); "], ids=["", "deaf"])
def test_closed_connection_without_proc(watch: Watch, ignored: str) -> None:
    """When the client closes, the worker ends by itself, and then its group."""
    code = f"{ignored}start(); start(leave=True); link.recv(1); report('closed')"
    watched = watch(code, 3, (600, 600, 0.1 if ignored else 600), WITHOUT_PROC)
    worker, child, daemon = watched.processes
    watched.link.close()

    assert watched.wait() == 0
    wait_until_gone([worker, child])
    end(daemon)


@pytest.mark.needs_mounts
def test_worker_that_stays_without_proc(watch: Watch) -> None:
    """A worker that does not end is killed with its group."""
    watched = watch("start(); report('closed'); time.sleep(600)", 2, (600, 0.1, 5), WITHOUT_PROC)

    assert watched.wait() == 0
    wait_until_gone(watched.processes)
