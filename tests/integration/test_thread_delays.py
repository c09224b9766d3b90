"""What user code does in one server thread delays nobody else: releases, keep-alives, the start of other threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from easycluster import SINGLE, define_common
from easycluster_protocol._wire import messages as m
from helpers.pipes import Pipe
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True

REMOTE = '''
import gc, os, signal, sys, weakref

def wait_for(path):
    """Wait until somebody writes a letter to the pipe."""
    with open(path, "rb", 0) as file:
        file.read(1)

class Slow:
    """Waits when it is taken apart, put together, or dropped."""

    def __init__(self, path, when):
        self.path, self.when = path, when

    def __getstate__(self):
        if self.when == "pickled":
            wait_for(self.path)
        return self.path, self.when

    def __setstate__(self, state):
        self.path, self.when = state
        if self.when == "unpickled":
            wait_for(self.path)
            self.when = "never"

    def __del__(self):
        if self.when == "dropped":
            wait_for(self.path)

def pass_on(value):
    return value.when

def make(path, when):
    return Slow(path, when)

def drop(path):
    Slow(path, "dropped")

def import_slowly(path):
    folder = os.path.dirname(path)
    with open(os.path.join(folder, "slow_to_import.py"), "w") as file:
        file.write(f"with open({path!r}, 'rb', 0) as file:\\n    file.read(1)\\n")
    sys.path.insert(0, folder)
    import slow_to_import
    del sys.modules["slow_to_import"], sys.path[0]

def wait_for_child(path):
    pid = os.fork()
    if pid == 0:
        wait_for(path)
        os._exit(0)
    os.waitpid(pid, 0)

def wait_in_handler(path):
    signal.signal(signal.SIGUSR1, lambda number, frame: wait_for(path))
    os.kill(os.getpid(), signal.SIGUSR1)

class Thing(ServerObject):
    pass

things = weakref.WeakSet()

def thing():
    made = Thing()
    things.add(made)
    return made

def count_things():
    gc.collect()
    return len(things)
'''

#: Ways to wait in user code, wherever that runs.
WAYS: dict[str, Any] = {
    "function": lambda client, path, options: client.wait_for(path, **options),
    "argument": lambda client, path, options: client.pass_on(slow(path, "unpickled"), **options),
    "result": lambda client, path, options: client.make(path, "pickled", **options),
    "finaliser": lambda client, path, options: client.drop(path, **options),
    "import": lambda client, path, options: client.import_slowly(path, **options),
    "fork": lambda client, path, options: client.wait_for_child(path, **options),
    "execblock": lambda client, path, options: client.execblock(f"wait_for({path!r})", **options),
    "handler": lambda client, path, options: client.wait_in_handler(path, **options),
}


def slow(path: str, when: str) -> Any:
    """A value of the definitions' class."""
    import easycluster.remote_code

    return easycluster.remote_code.Slow(path, when)


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.mark.parametrize(
    ("how", "threadid"),
    # Python runs signal handlers in the main thread.
    [(how, threadid) for how in WAYS for threadid in (0, 1) if (how, threadid) != ("handler", 1)],
)
def test_nothing_waits_for_it(
    client: Any, tmp_path: Path, how: str, threadid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While user code of one thread waits, signs of life, releases and calls of threads, new ones too, are dealt with."""
    heard = threading.Event()
    session = client._easycluster_calls.session
    deliver = session._deliver

    def note(message: Any) -> None:
        if message.kind == m.PONG:
            heard.set()
        deliver(message)

    monkeypatch.setattr(session, "_deliver", note)
    other = 0 if threadid == 1 else 2
    thing = client.thing(threadid=other)
    before = client.count_things(threadid=other)
    with Pipe(tmp_path / "pipe") as pipe:
        response = WAYS[how](client, pipe.path, {"nonblocking": True, "threadid": threadid})
        del thing
        session.control(m.PING)
        wait_until(lambda: client.count_things(threadid=other) == 0)
        counts = [client.count_things(threadid=number) for number in (3, 4, SINGLE)]
        heard.wait(PATIENCE)
        running = not response.done()
        pipe.write("a")
        response.wait()

    assert (before, counts) == (1, [0, 0, 0])
    assert heard.is_set()
    assert running
