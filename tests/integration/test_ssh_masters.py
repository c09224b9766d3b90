"""A master that is interrupted, killed or forked while it connects, or is connected, by SSH."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client
from easycluster_server._system.posix.proc import Process
from helpers.masters import Master, all_below, wait_until_gone
from helpers.sshd import Sshd
from helpers.stand_ins import listener, make_stand_ins, name_of, say_nothing
from helpers.waiting import PATIENCE, wait_until

stand_in = pytest.fixture(make_stand_ins)

CONNECTING = """
try:
    connect({options})
except KeyboardInterrupt:
    say(event="interrupted")
hear()
"""


@pytest.mark.needs_sshd
@pytest.mark.parametrize("whom", ["the master", "all"])
def test_interrupt_while_connecting(sshd: Sshd, tmp_path: Path, whom: str) -> None:
    """Ctrl-C while ssh waits for the host raises KeyboardInterrupt in the master, and ssh has gone then."""
    begun = threading.Event()

    def behave(connection: socket.socket) -> None:
        begun.set()
        say_nothing(connection)

    how = {"name": "ssh", "options": sshd.options}
    with (
        listener(behave) as port,
        Master(how, "os.setpgid(0, 0)\n" + CONNECTING.format(options=f"port={port}"), tmp_path) as master,
    ):
        assert begun.wait(PATIENCE)
        wait_until(lambda: os.getpgid(master.pid) == master.pid)
        (ssh,) = (each for each in all_below(master.pid) if name_of(each) == "ssh")
        if whom == "all":
            os.killpg(master.pid, signal.SIGINT)
        else:
            os.kill(master.pid, signal.SIGINT)
        assert master.hear() == {"event": "interrupted"}

        assert not Path(f"/proc/{ssh.pid}").exists()
        wait_until(lambda: all_below(master.pid)[1:] == [])
        master.say()
        # CPython ends by the signal, though it was caught, when it came in the middle of exec() of a text, by
        # which modules that are just being imported make their named tuples.
        assert master.wait() in (0, -signal.SIGINT)


def test_other_signals_end_ssh(stand_in: Callable[[str], str], tmp_path: Path) -> None:
    """When the master is killed while it connects, ssh ends as well."""
    script = f"""
    say(pid=os.getpid())
    Client(None, "h", ssh={stand_in("echo >&2; exec sleep 1000")!r})
    """
    with Master({"name": "ssh"}, script, tmp_path) as master:
        master.hear()

        def connecting() -> dict[str, Process]:
            return {name_of(each): each for each in all_below(master.pid)[1:]}

        # ssh, and the helper that watches over it, a shell until it has something to end.
        wait_until(lambda: set(connecting()) == {"sleep", "sh"})
        processes = all_below(master.pid)
        master.kill()
        wait_until_gone(processes)


def test_user_error_is_none_of_ours(stand_in: Callable[[str], str]) -> None:
    """What a signal handler of the user's raises is passed on as it is."""

    class Mine(Exception):
        """Raised by the handler."""

    def raise_mine(number: int, frame: Any) -> None:
        raise Mine

    before = signal.signal(signal.SIGUSR1, raise_mine)
    try:
        with pytest.raises(Mine):
            Client(None, "h", ssh=stand_in("kill -USR1 $PPID; exec sleep 1000"))
    finally:
        signal.signal(signal.SIGUSR1, before)


# A master that forks.

FORKING = """
client = connect()
assert client.eval("1") == 1
child = os.fork()
if child == 0:
    sys.exit(0)  # with all that is done at exit
status = os.waitpid(child, 0)[1]
say(status=status, value=client.eval("2"), server=client.os.getpid())
hear()
"""


@pytest.mark.needs_sshd
def test_master_forks(sshd: Sshd, tmp_path: Path) -> None:
    """A child of the master that exits leaves the connection open, and ssh still ends with the master."""
    master = Master({"name": "ssh", "options": sshd.options}, FORKING, tmp_path, ("-W", "ignore"))
    with master:
        heard = master.hear()
        processes = all_below(master.pid)
        assert (heard["status"], heard["value"]) == (0, 2)
        master.kill()
        wait_until_gone(processes)
