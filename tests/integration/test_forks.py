"""Remote code that forks: the child gives up the connection, and the caller gets one answer, from the parent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from easycluster import SINGLE, define_common
from helpers.masters import identify, wait_until_gone
from helpers.pipes import Pipe
from helpers.waiting import wait_until

REMOTE = '''
import os, signal, sys, threading, time, warnings

warnings.simplefilter("error")

def fork(how="return"):
    """Fork; the parent returns the status with which the child ended, the child goes its own way."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] >> 8
    if how == "return":
        return "from the child"
    if how == "exit":
        sys.exit(7)
    if how == "exit with a text":
        sys.exit("the child has had enough")
    if how == "raise":
        raise ValueError("in the child")
    if how == "print":
        print("printed by the child")
        return None
    os._exit(9)

def fork_without_stderr(how):
    """Fork when nothing can be printed."""
    class Failing:
        def write(self, text):
            raise RuntimeError(text)
        flush = write
    before = sys.stderr
    sys.stderr = Failing() if how == "failing" else None
    try:
        return fork("exit with a text"), fork("raise")
    finally:
        sys.stderr = before

def fork_and_look():
    """Return what the child holds of the connection, by its descriptors, and its handler of SIGINT."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        found = sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}"))
        handler = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        os.write(writing, repr((found, handler, threading.active_count())).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = eval(file.read())
    os.waitpid(pid, 0)
    return answer

def fork_twice(path):
    """Fork, and let the child fork and end."""
    if os.fork() == 0:
        if os.fork() == 0:
            with open(path, "w") as file:
                file.write(str(os.getpid()))
        return "from a child"
    return os.wait()[1]

def fork_and_stay(path):
    """Fork a child that waits."""
    pid = os.fork()
    if pid == 0:
        wait_for(path)
        os._exit(0)
    return pid

def fork_by(module, count):
    """Let the standard library fork."""
    import multiprocessing, concurrent.futures

    context = multiprocessing.get_context("fork")
    if module == "Process":
        queue = context.SimpleQueue()
        children = [context.Process(target=lambda n=n: queue.put(n * n)) for n in range(count)]
        for child in children:
            child.start()
        found = sorted(queue.get() for _ in children)
        for child in children:
            child.join()
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a Pool starts threads before it forks
        with context.Pool(2) as pool:
            return pool.map(square, range(count))

def square(n):
    return n * n

def wait_for(path):
    with open(path, "rb", 0) as file:
        return file.read(1).decode()

def fork_many(count):
    return [fork("hard") for _ in range(count)]

def note(value):
    return value
'''


#: Where other threads run Python says so. Each thread for itself could not ignore it: filters are the process's.
IGNORE = "warnings.simplefilter('ignore')"


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


#: How many threads of the worker are followers.
FOLLOWERS = """sum(
    ended.locked()
    for each in __import__("gc").get_objects() if type(each).__name__ == "Follower"
    for _, ended in each._threads
)"""


@pytest.mark.parametrize(
    ("how", "status"),
    [("return", 0), ("exit", 7), ("exit with a text", 1), ("raise", 1), ("print", 0), ("hard", 9)],
)
def test_child_ends_with_the_function(client: Any, how: str, status: int) -> None:
    """However the child leaves the function, it ends there; Python warns of nothing, and the answer comes once."""
    assert [client.fork(how) for _ in range(3)] == [status] * 3
    assert client.note("next") == "next"


def test_child_holds_nothing_of_the_connection(client: Any) -> None:
    """The child has closed the connection, SIGINT is as usual, and no thread of ours runs in it."""
    found, handler, threads = client.fork_and_look()
    worker = {os.readlink(file) for file in Path(f"/proc/{client.os.getpid()}/fd").iterdir()}
    # Of what is shared libffi 3.5 needs one for itself.
    shared = [target for target in found if target in worker and "/libffi.so" not in target]

    assert [target.partition(":")[0] for target in shared] == ["pipe"], "that of detach()"
    assert handler
    assert threads == 1


def test_child_of_a_child(client: Any, tmp_path: Path) -> None:
    """A child of the child ends with the function as well."""
    path = tmp_path / "pid"

    assert client.fork_twice(str(path)) == 0
    wait_until(lambda: path.exists() and path.read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{path.read_text()}"))
    assert client.note(1) == 1


@pytest.mark.parametrize("threadid", [1, SINGLE])
def test_fork_in_another_thread(client: Any, threadid: Any) -> None:
    """Other threads may fork, too: the child ends with the function, and all threads go on."""
    client.execblock(IGNORE)
    assert client.fork_many(3, threadid=threadid) == [9] * 3
    assert client.fork("return", threadid=threadid) == 0
    assert client.fork("exit", threadid=threadid) == 7
    assert client.note("next", threadid=threadid) == client.note("next") == "next"


@pytest.mark.parametrize("module", ["Process", "Pool"])
def test_multiprocessing(client: Any, module: str) -> None:
    """Processes and pools of multiprocessing, forked, work in remote code."""
    for _ in range(2):
        assert client.fork_by(module, 5) == [0, 1, 4, 9, 16]


def test_fork_during_calls_of_other_threads(client: Any, tmp_path: Path) -> None:
    """Threads that fork at once, while others are in calls, disturb nobody."""
    client.execblock(IGNORE)
    with Pipe(tmp_path / "pipe") as pipe:
        waiting = [client.wait_for(pipe.path, threadid=number, nonblocking=True) for number in range(10, 13)]
        forking = [client.fork_many(10, threadid=number, nonblocking=True) for number in range(1, 4)]
        numbers = [client.note(number, threadid=5) for number in range(100)]
        results = [response.wait() for response in forking]
        pipe.write("abc")
        letters = sorted(response.wait() for response in waiting)

    assert numbers == list(range(100))
    assert results == [[9] * 10] * 3
    assert letters == list("abc")


def test_long_call_is_still_followed_after_a_fork(client: Any, tmp_path: Path) -> None:
    """After forks, of several threads at once too, a long call of the main thread does not keep others waiting."""
    client.execblock(IGNORE)
    for response in [client.fork_many(3, threadid=number, nonblocking=True) for number in range(3)]:
        response.wait()
    with Pipe(tmp_path / "pipe") as pipe:
        response = client.wait_for(pipe.path, nonblocking=True)

        assert client.note(1, threadid=1) == 1
        pipe.write("a")
        assert response.wait() == "a"
        assert client.eval(FOLLOWERS) == 1


def test_child_does_not_keep_the_connection_open(client: Any, tmp_path: Path) -> None:
    """When the worker is killed the caller learns it at once, although a child of the worker lives; and the child ends."""
    with Pipe(tmp_path / "pipe") as pipe:
        child, worker = identify(client.fork_and_stay(pipe.path), client.os.getpid())
        response = client.wait_for(str(tmp_path / "pipe"), nonblocking=True)
        os.kill(worker.pid, 9)
        with pytest.raises(EOFError):
            response.wait()
        wait_until_gone([child, worker])


INTERRUPT = """
def fork_and_interrupt(name):
    # As a signal handler that raises in the middle of a function, at a place of one's choice.
    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_name == name:
            sys.setprofile(None)
            raise TimeoutError
    sys.unraisablehook = lambda raised: None
    sys.setprofile(profile)
    try:
        pid = os.fork()
    finally:
        sys.setprofile(None)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("name", ["_before_fork", "stop", "_wait_for_end", "_after_fork_in_parent", "start"])
def test_interrupted_fork(local: Any, tmp_path: Path, name: str) -> None:
    """When a signal handler raises in what is done before and after a fork, a long call is followed all the same."""
    local.execblock(INTERRUPT + IGNORE)
    for _ in range(2):
        local.fork_and_interrupt(name)
    with Pipe(tmp_path / "pipe") as pipe:
        response = local.wait_for(pipe.path, nonblocking=True)

        assert local.note(1, threadid=1) == 1
        pipe.write("a")
        assert response.wait() == "a"
    assert local.fork("exit", threadid=2) == 7


@pytest.mark.parametrize("how", ["failing", "none"])
def test_child_that_cannot_print(client: Any, how: str) -> None:
    """A child that cannot print its error ends as well, and does not go on as a second worker."""
    assert tuple(client.fork_without_stderr(how)) == (1, 1)
    assert client.eval("1 + 1") == 2
