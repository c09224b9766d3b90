"""Where remote code runs: the main thread, threads with an id, and a thread for one call."""

from __future__ import annotations

import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from easycluster import SINGLE, define_common
from helpers.pipes import Pipe
from helpers.waiting import wait_until

THREADED_TOO = True
TLS_TOO = True

REMOTE = '''
import asyncio, os, signal, subprocess, sys, threading, time

def thread():
    """Return what thread runs this, and whether it is the main one."""
    current = threading.current_thread()
    return current.name, threading.get_native_id(), current is threading.main_thread()

def wait_for(path):
    """Wait until somebody writes a letter to the pipe, and return it."""
    with open(path, "rb", 0) as file:
        return file.read(1).decode()

def pass_on(path, other):
    """Wait for a letter and hand it on to another pipe."""
    letter = wait_for(path)
    with open(other, "wb", 0) as file:
        file.write(letter.encode())
    return letter

noted = []

def note(value):
    noted.append(value)
    return value

def catch_signal():
    """Let a handler of ours have its turn."""
    caught = []
    signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    return caught

def wait_for_signal():
    """Wait until SIGUSR1 comes from outside."""
    caught = []
    signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    note("waiting")
    while not caught:
        time.sleep(0.01)
    return caught

def run_asyncio():
    async def wait_and_answer():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: None)
        process = await asyncio.create_subprocess_exec("echo", "from a child", stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        return output.decode().strip()

    return asyncio.run(wait_and_answer())

def run_children(count):
    children = [subprocess.Popen([sys.executable, "-S", "-c", f"print({n})"], stdout=subprocess.PIPE) for n in range(count)]
    return [int(child.communicate()[0]) for child in children]

def time_out(seconds):
    """Interrupt oneself, as scripts do with SIGALRM."""
    def on_alarm(number, frame):
        raise TimeoutError("too long")

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        time.sleep(600)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

def hold_interpreter(path):
    """Keep the interpreter's lock and the processor busy until a file exists."""
    while not os.path.exists(path):
        for _ in range(100):  # each look lets another thread in, who may lose the race for ever
            sum(range(10000))
    return True
'''


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    """A pipe for which a remote function waits."""
    with Pipe(tmp_path / "pipe") as pipe:
        yield pipe


# The main thread.


def test_calls_run_in_the_main_thread(client: Any, transport: Any) -> None:
    """A call without a thread id runs in the main thread of the worker, which is that of the process."""
    name, number, is_main = client.thread()

    assert (name, is_main) == ("MainThread", True)
    if transport.name != "wine":
        assert number == client.os.getpid()
    assert client.thread(threadid=0)[1] == number


@pytest.mark.parametrize("function", ["catch_signal", "run_asyncio", "run_children"])
def test_what_only_a_main_thread_can_do(client: Any, function: str) -> None:
    """Signal handlers, asyncio with children, and children of its own work in remote code."""
    results = {
        "catch_signal": lambda: client.catch_signal() == [signal.SIGUSR1],
        "run_asyncio": lambda: client.run_asyncio() == "from a child",
        "run_children": lambda: client.run_children(3) == [0, 1, 2],
    }

    assert all(results[function]() for _ in range(3))


def test_alarm_of_remote_code(client: Any) -> None:
    """Remote code may end its own call by a signal handler that raises."""
    for _ in range(3):
        with pytest.raises(TimeoutError, match="too long"):
            client.time_out(0.01, origexc="quiet")

    assert client.note(1) == 1


def test_signals_from_outside_reach_remote_code(client: Any) -> None:
    """A signal that another process sends is delivered to a call of the main thread."""
    response = client.wait_for_signal(nonblocking=True)
    wait_until(lambda: client.eval("noted", threadid=1) == ["waiting"])
    os.kill(client.os.getpid(threadid=1), signal.SIGUSR1)

    assert response.wait() == [signal.SIGUSR1]


# Threads with an id.


def test_calls_of_one_thread_run_in_order(client: Any) -> None:
    """Calls of one id run in the order in which they were made, in one thread."""
    responses = [client.note(number, threadid=1, nonblocking=True) for number in range(200)]
    threads = {tuple(client.thread(threadid=1)) for _ in range(10)}

    assert [response.wait() for response in responses] == list(range(200))
    assert client.eval("noted") == list(range(200))
    assert len(threads) == 1
    assert not threads.pop()[2]


def test_calls_of_several_threads_run_at_once(client: Any, tmp_path: Path) -> None:
    """Calls of different ids do not wait for each other: each is ended by the one that was made after it."""
    pipes = [Pipe(tmp_path / str(number)) for number in range(5)]
    responses = [
        client.pass_on(after.path, pipe.path, threadid=number, nonblocking=True)
        for number, (pipe, after) in enumerate(pairwise(pipes))
    ]
    last = client.wait_for(pipes[0].path, threadid=9, nonblocking=True)
    pipes[4].write("x")
    letters = [response.wait() for response in responses]
    ended = last.wait()  # before the pipes are closed: what nobody has open forgets what is in it
    for pipe in pipes:
        pipe.close()

    assert (letters, ended) == (["x"] * 4, "x")


def test_single_calls_have_a_thread_each(client: Any, pipe: Pipe) -> None:
    """Calls with SINGLE run at once, each in a thread that ends with it."""
    before = client.threading.active_count()
    responses = [client.wait_for(pipe.path, threadid=SINGLE, nonblocking=True) for _ in range(5)]
    wait_until(lambda: client.threading.active_count() == before + 5)
    pipe.write("abcde")

    assert sorted(response.wait() for response in responses) == list("abcde")
    wait_until(lambda: client.threading.active_count() == before)


def test_threads_keep_their_locals(client: Any) -> None:
    """Thread-local values last from one call of a thread to the next."""
    client.execblock(
        "local = threading.local()\ndef count():\n    local.n = getattr(local, 'n', 0) + 1\n    return local.n"
    )

    assert [client.count(threadid=thread) for thread in (1, 2, 1, 0, 1, 0)] == [1, 1, 2, 1, 3, 2]


def test_stopped_thread(client: Any) -> None:
    """A thread that was stopped ends when its calls are done, and a later call of its id gets a new one."""
    client.execblock("local = threading.local()\nlocal.n = 0")
    before = client.threading.active_count()
    client.execblock("local.n = 1", threadid=5)
    client.stop_remote_thread(5)

    assert not client.eval("hasattr(local, 'n')", threadid=5)
    client.stop_remote_thread(5)
    wait_until(lambda: client.threading.active_count() == before)


def test_default_thread(client: Any) -> None:
    """`set_default_thread` says where calls without a thread id run."""
    client.set_default_thread(3)
    other = client.thread()
    client.set_default_thread(0)

    assert not other[2]
    assert client.thread(threadid=3) == other
    assert client.thread()[2]


# While the main thread is in a long call.


@pytest.mark.parametrize("how", ["wait_for", "hold_interpreter"])
def test_long_call_of_the_main_thread(client: Any, tmp_path: Path, how: str) -> None:
    """While the main thread waits or computes, calls of other threads are served, of new ones too."""
    path = tmp_path / "end"
    if how == "wait_for":
        with Pipe(path) as pipe:
            response = client.wait_for(str(path), nonblocking=True)
            numbers = [client.note(number, threadid=number) for number in range(1, 20)]
            single = client.note(20, threadid=SINGLE)
            pipe.write("a")
            assert response.wait() == "a"
    else:
        response = client.hold_interpreter(str(path), nonblocking=True)
        numbers = [client.note(number, threadid=number) for number in range(1, 20)]
        single = client.note(20, threadid=SINGLE)
        path.touch()
        assert response.wait()

    assert (numbers, single) == (list(range(1, 20)), 20)


def test_long_call_right_after_an_idle_time(client: Any, tmp_path: Path) -> None:
    """However long the worker was idle before, a call that lasts does not keep other threads waiting."""
    for number, pause in enumerate((0.0, 0.02, 0.025, 0.03, 0.035, 0.05, 0.1)):
        threading.Event().wait(pause)
        with Pipe(tmp_path / str(number)) as pipe:
            response = client.wait_for(str(tmp_path / str(number)), nonblocking=True)
            assert client.note(number, threadid=1) == number
            pipe.write("a")
            assert response.wait() == "a"


def test_idle_worker_sleeps(client: Any) -> None:
    """Nothing in an idle worker runs again and again."""
    client.thread()
    pid = client.os.getpid()

    def switches() -> list[int]:
        # The main thread and the one that takes over from it.
        found = []
        for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
            lines = (task / "status").read_text().splitlines()
            found += [int(line.split()[1]) for line in lines if "ctxt_switches" in line]
        return found

    def at_rest() -> bool:
        before = switches()
        threading.Event().wait(0.2)  # many times what it would take to run again
        return switches() == before

    wait_until(at_rest)
    assert len(switches()) == 4
