"""The keeper with real processes; the integration tests have it with real guardians."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from helpers.masters import end, identify, lives, wait_until_gone
from helpers.namespaces import WITHOUT_PROC
from helpers.waiting import PATIENCE

pytestmark = pytest.mark.integration

#: Becomes a keeper; its guardian runs the code of the test, and says the processes that it has started.
SCRIPT = """
import json, os, signal, subprocess, sys, time
from easycluster_server._system.posix.keeper import fork_from_keeper

SLEEP = ["sleep", "600"]
NULL = {"stdout": subprocess.DEVNULL}
DEAF = "import signal, time; [signal.signal(each, signal.SIG_IGN) for each in (1, 2, 15)]; print(flush=True)"

def start(**options):
    return subprocess.Popen(SLEEP, **NULL, **options).pid

def start_deaf():
    process = subprocess.Popen([sys.executable, "-c", DEAF + "; time.sleep(600)"], stdout=subprocess.PIPE)
    process.stdout.read(1)
    return process.pid

def note(*numbers):
    os.write(notes, b"%d %d " % numbers)

def started(pid):
    with open("/proc/%d/stat" % pid) as file:
        return int(file.read().split()[21])

def say(*pids):
    print(json.dumps([os.getppid(), os.getpid(), *pids]), flush=True)

exec(sys.argv[1])
"""

Start = Callable[..., "tuple[subprocess.Popen[str], list[int]]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts keepers; returns each with the numbers that its guardian has said."""
    running: list[subprocess.Popen[str]] = []

    def start(code: str, prefix: tuple[str, ...] = ()) -> tuple[subprocess.Popen[str], list[int]]:
        command = [*prefix, sys.executable, "-c", SCRIPT, code]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        running.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    yield start
    for process in running:
        process.communicate(timeout=PATIENCE)


BEGIN = "notes = fork_from_keeper(); signal.pthread_sigmask(signal.SIG_SETMASK, ()); "
WAIT = "sys.stdin.read()"


@pytest.mark.parametrize("status", [0, 3])
def test_guardian_that_ends_by_itself(start: Start, status: int) -> None:
    """What it has left stays, and its status is that of the keeper."""
    process, (_, _, left) = start(f"{BEGIN}say(start()); {WAIT}; os._exit({status})")
    (process_left,) = identify(left)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == status
    end(process_left)


def test_killed_guardian(start: Start) -> None:
    """What it has left ends, but for what it has noted; SIGKILL ends what SIGTERM does not."""
    code = (
        f"{BEGIN}note(os.getpid(), 0); spared = start(); note(spared, started(spared)); reused = start()\n"
        f"note(reused, started(reused) - 1); say(spared, reused, start_deaf(), start(start_new_session=True)); {WAIT}"
    )
    process, (_, guardian, spared, *others) = start(code)
    (process_spared,), rest = identify(spared), identify(*others)
    os.kill(guardian, signal.SIGKILL)
    wait_until_gone(rest)

    assert process.wait(PATIENCE) == -signal.SIGKILL
    end(process_spared)


def test_killed_before_it_notes_anything(start: Start) -> None:
    """What a guardian has left ends that has noted nothing yet."""
    process, (_, guardian, left) = start(f"{BEGIN}say(start()); {WAIT}")
    rest = identify(left)
    os.kill(guardian, signal.SIGKILL)
    wait_until_gone(rest)

    assert process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.needs_mounts
def test_killed_guardian_without_proc(start: Start) -> None:
    """Where no /proc shows processes, the group of the worker ends."""
    code = f"{BEGIN}worker = start(start_new_session=True); other = start(); note(worker, 0); say(worker, other); {WAIT}"
    process, (_, guardian, worker, other) = start(code, WITHOUT_PROC)
    group, (process_other,) = identify(worker), identify(other)
    os.kill(guardian, signal.SIGKILL)
    wait_until_gone(group)

    assert process.wait(PATIENCE) == -signal.SIGKILL
    end(process_other)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(start: Start, number: int) -> None:
    """The guardian gets the signals by which one asks to end; the keeper waits for what it makes of them."""
    code = f"fork_from_keeper(); say(); signal.sigwait([{number}]); os._exit(5)"
    process, (pid, _) = start(code)
    os.kill(pid, number)

    assert process.wait(PATIENCE) == 5


def test_keeper_is_killed(start: Start) -> None:
    """Its guardian is then asked to end."""
    code = "fork_from_keeper(); say(); signal.sigwait([15])"
    process, (pid, guardian) = start(code)
    processes = identify(guardian)
    os.kill(pid, signal.SIGKILL)

    assert process.wait(PATIENCE) == -signal.SIGKILL
    wait_until_gone(processes)


def test_keeper_is_killed_early(start: Start) -> None:
    """A guardian that is not ready yet to be asked is asked when it is."""
    code = (
        "fork_from_keeper(); say(); sys.stdin.readline(); signal.signal(15, lambda *_: os._exit(5))\n"
        "signal.pthread_sigmask(signal.SIG_SETMASK, ()); print('deaf')"
    )
    process, (pid, guardian) = start(code)
    processes = identify(guardian)
    os.kill(pid, signal.SIGKILL)
    process.wait(PATIENCE)
    assert all(map(lives, processes))
    output, _ = process.communicate("\n", timeout=PATIENCE)

    assert output == ""
    wait_until_gone(processes)


def test_keeper_holds_nothing(start: Start) -> None:
    """It has the reading end of its pipe and no other descriptor, and other signals do not end it."""
    process, (pid, guardian) = start(f"{BEGIN}say(); {WAIT}")
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGPIPE, signal.SIGTSTP):
        os.kill(pid, number)
    os.kill(guardian, signal.SIGSTOP)
    os.kill(guardian, signal.SIGCONT)

    assert os.listdir(f"/proc/{pid}/fd") == ["0"]
    assert all(map(lives, identify(pid, guardian)))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_ignored_ends_of_children(start: Start) -> None:
    """Where SIGCHLD is ignored, as after ``trap '' CHLD``, the keeper learns of the end all the same."""
    process, _ = start(f"signal.signal(signal.SIGCHLD, signal.SIG_IGN); {BEGIN}say(); os._exit(4)")

    assert process.wait(PATIENCE) == 4
