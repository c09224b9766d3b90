"""What a script sees when Ctrl-C ends its waiting for a call: what goes on, how to end it, and no frames of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import easycluster
from easycluster import call_multi, define_common
from easycluster_client._calls import cancelling
from easycluster_server._system import interrupt_main_thread
from helpers.waiting import PATIENCE, wait_until

THREADED_TOO = True
TLS_TOO = True

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes"),
]

REMOTE = """
import threading

def hang():
    threading.Event().wait()

def fail():
    raise ValueError("no")

class Board(ServerObject):
    def hang(self):
        hang()
    def fail(self):
        fail()
"""

IPYTHON = """
import easycluster, os, signal, threading
from IPython.core.interactiveshell import InteractiveShell
easycluster.define_common('''%s''')
host = easycluster.server.spawn_local()
session = host._easycluster_calls.session
def interrupt():
    while not session.turn.reading.locked():
        pass
    os.kill(os.getpid(), signal.SIGINT)
shell = InteractiveShell.instance(colors="NoColor", user_ns=globals())
for code in "host.fail()", "host.Board().fail()", "threading.Thread(target=interrupt).start(); host.hang()":
    print("====", flush=True)
    shell.run_cell(code)
"""


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions above are defined on clients that are made from now on; a busy machine has time to end them."""
    define_common(REMOTE)
    monkeypatch.setattr(cancelling, "GRACE", PATIENCE)


@contextmanager
def ctrl_c(client: Any) -> Iterator[None]:
    """A block that is interrupted while it waits for an answer of this client."""
    turn = client._easycluster_calls.session.turn

    def interrupt() -> None:
        wait_until(lambda: turn.reader == threading.main_thread().ident)
        interrupt_main_thread()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def interrupt(client: Any, action: Callable[[], Any]) -> pytest.ExceptionInfo[KeyboardInterrupt]:
    """Returns the KeyboardInterrupt of an action that waits for the client."""
    with pytest.raises(KeyboardInterrupt) as caught, ctrl_c(client):
        action()
    return caught


@pytest.mark.parametrize("way", ["call", "operation", "method", "limit"])
def test_note(client: Any, way: str) -> None:
    """The error names the call, which was cancelled, and the host."""
    board = client.Board()
    actions: dict[str, Callable[[], Any]] = {
        "call": client.hang,
        "operation": lambda: client.eval("hang()"),
        "method": board.hang,
        "limit": lambda: easycluster.options(client, timeout=3600).hang(),
    }

    caught = interrupt(client, actions[way])

    name = "eval" if way == "operation" else "hang"
    note = f"the waiting for {name} on {client.peername} was interrupted, and the call was cancelled"
    assert caught.value.__notes__ == [note]


@pytest.mark.parametrize("way", ["response", "result", "old server"])
def test_note_about_a_call_that_goes_on(client: Any, transport: Any, way: str) -> None:
    """A response can be waited for again, and an old server cancels nothing: the error says how to end the call."""
    client._easycluster_calls.session.can_cancel = way != "old server"
    response: Any = client.hang(nonblocking=True) if way != "old server" else None
    actions: dict[str, Callable[[], Any]] = {
        "response": lambda: response.wait(timeout=None),
        "result": lambda: response.result(timeout=3600),
        "old server": client.hang,
    }

    caught = interrupt(client, actions[way])

    verb = "close" if transport.name == "local" else "reconnect"
    note = (
        f"the waiting for hang on {client.peername} was interrupted: the call goes on there as long as the"
        f" connection does, and later calls in its thread wait for it; {verb}() ends it, together with the process"
        " there"
    )
    assert caught.value.__notes__ == [note]


def test_advice(client: Any, transport: Any) -> None:
    """What the note advises ends the call."""
    pid = client.os.getpid()
    interrupt(client, client.hang(nonblocking=True).wait)

    if transport.name == "local":
        client.close()
    else:
        client.reconnect()
        assert client.os.getpid() != pid

    assert client.connected == (transport.name != "local")


def test_frames(client: Any) -> None:
    """The traceback of an interrupt or a remote error ends at the beginning of the call."""
    with pytest.raises(ValueError, match="no") as failed:
        client.fail()
    for error in failed, interrupt(client, client.hang):
        names = [entry.name for entry in error.traceback]
        assert names[names.index("__call__") :] in (["__call__", "call"], ["__call__", "call", "make"])


def test_frames_of_the_script(client: Any) -> None:
    """The frames of a signal handler or of pickling in the script stay."""

    def handle(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        caught = interrupt(client, client.hang)
    finally:
        signal.signal(signal.SIGINT, before)

    assert caught.traceback[-1].name == "handle"
    assert "was cancelled" in caught.value.__notes__[0]


def test_remote_interrupt(client: Any) -> None:
    """A KeyboardInterrupt that the host raised ends the call, and no note says otherwise."""
    with pytest.raises(KeyboardInterrupt) as caught:
        client.execblock("raise KeyboardInterrupt")

    assert caught.value.__notes__ == [f"on {client.peername}"]


def test_call_multi(transport: Any) -> None:
    """An interrupted call_multi names the hosts on which calls were cancelled."""
    with transport.connect() as first, transport.connect() as second:
        caught = interrupt(first, lambda: call_multi([first, second], "hang"))

        hosts = ", ".join(dict.fromkeys([first.peername, second.peername]))
        note = f"the waiting for hang on {hosts} was interrupted, and the calls were cancelled"
        assert caught.value.__notes__ == [note]


def test_connecting(client: Any) -> None:
    """An interrupt while the definitions are sent closes the connection, so nothing goes on."""
    session = client._easycluster_calls.session  # as it is until they are there
    session.way_to_end = ""

    caught = interrupt(client, client.hang)

    assert not hasattr(caught.value, "__notes__")


def test_ipython(tmp_path: Path) -> None:
    """IPython shows the cell, one frame of ours at most, and the note."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IPYTHON % REMOTE],
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )

    for shown in ended.stdout.split("====\n")[1:]:
        assert shown.count("easycluster_client/") == 1, shown
        assert "skipping hidden" in shown
    assert "\nthe waiting for hang on local:1 was interrupted" in ended.stdout


def test_sending(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while a call is sent says that the call is cancelled where it may have arrived."""

    def send(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(client._easycluster_calls.session._channel, "send", send)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.hang()
    monkeypatch.undo()

    note = f"the sending of hang to {client.peername} was interrupted: if the call has arrived there, it is cancelled"
    assert caught.value.__notes__ == [note]
