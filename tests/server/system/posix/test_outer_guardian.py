"""The guardian over another one, with real processes; test_confined_versions.py has it with real users."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from easycluster_server._system.posix.proc import Process
from helpers.masters import end, identify, lives, wait_until_gone
from helpers.waiting import PATIENCE

pytestmark = pytest.mark.integration

#: Becomes an outer guardian; its child runs the code of the test, in place of an inner one.
SCRIPT = """
import os, signal, socket, subprocess, sys
from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.posix import outer_guardian

outer_guardian._PATIENCE = float(sys.argv[3])
link = socket.socket(fileno=int(sys.argv[1]))
reading, _ = os.pipe()
outer_guardian.fork_from_guardian(SocketTransport(link), reading, lambda end: link.send(end.encode()))
os.fstat(reading)
daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(os.getpid(), daemon.pid, flush=True)
exec(sys.argv[2])
os._exit(0)
"""


class Outer:
    """A running outer guardian.

    Args:
        code: what the inner guardian does.
        patience: the seconds that this has once the connection has ended.
    """

    def __init__(self, code: str, patience: float) -> None:
        self.link, theirs = socket.socketpair()
        self.link.settimeout(PATIENCE)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(theirs.fileno()), code, str(patience)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdout is not None
        self.processes = identify(*map(int, self.process.stdout.readline().split()))

    @property
    def inner(self) -> Process:
        """The inner guardian."""
        return self.processes[0]

    @property
    def daemon(self) -> Process:
        """A process that has left the session."""
        return self.processes[1]


@pytest.fixture
def outer(request: pytest.FixtureRequest) -> Iterator[Outer]:
    """An outer guardian over the code that the test names."""
    outer = Outer(*request.param)
    yield outer
    outer.link.close()
    outer.process.kill()
    for process in filter(lives, outer.processes):
        end(process)
    outer.process.communicate()


def during(code: str, patience: float = PATIENCE) -> pytest.MarkDecorator:
    """Run a test with this code in the inner guardian."""
    return pytest.mark.parametrize("outer", [(code, patience)], indirect=True, ids=[""])


@during("signal.pause()")
def test_killed_inner_guardian(outer: Outer) -> None:
    """When the inner guardian is killed, the client hears of it, and all that it has left ends."""
    os.kill(outer.inner.pid, signal.SIGKILL)

    wait_until_gone(outer.processes)
    assert outer.link.recv(100) == b"signal 9 (SIGKILL)"
    assert outer.link.recv(100) == b""
    assert outer.process.wait(PATIENCE) == 0


@during("sys.stdin.read(1)")
def test_inner_guardian_that_has_done_its_work(outer: Outer) -> None:
    """What an inner guardian leaves that ends in order is to stay."""
    assert outer.process.stdin is not None
    outer.process.stdin.write("x")
    outer.process.stdin.flush()

    assert outer.process.wait(PATIENCE) == 0
    assert lives(outer.daemon)


@during("os._exit(1)")
def test_inner_guardian_that_fails(outer: Outer) -> None:
    """An inner guardian that fails has not ended what it has to; it has told of that itself."""
    wait_until_gone(outer.processes)
    assert outer.link.recv(100) == b""
    assert outer.process.wait(PATIENCE) == 0


@during("os.kill(os.getpid(), signal.SIGSTOP)", patience=0.1)
def test_stopped_inner_guardian(outer: Outer) -> None:
    """An inner guardian that was stopped does not keep what the connection has started from ending."""
    outer.link.close()

    wait_until_gone(outer.processes)
    assert outer.process.wait(PATIENCE) == 0


@during("signal.signal(signal.SIGTERM, lambda *_: os._exit(0)); print('ready', flush=True)\nsignal.pause()")
def test_a_server_that_stops(outer: Outer) -> None:
    """The request to end goes to the inner guardian, which then does its work."""
    assert outer.process.stdout is not None
    assert outer.process.stdout.readline() == "ready\n"
    outer.process.terminate()

    assert outer.process.wait(PATIENCE) == 0
    assert lives(outer.daemon)


@during("signal.pause()")
def test_killed_outer_guardian(outer: Outer) -> None:
    """No inner guardian outlives the outer one."""
    outer.process.kill()

    wait_until_gone([outer.inner])
