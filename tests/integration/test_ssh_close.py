"""An orderly end of a connection by SSH: ssh ends by itself, whatever the host still prints."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from easycluster import ConnectionLost, OutcomeUnknown, define_common
from helpers.client_states import ssh_process
from helpers.logins import Host, make_host, serve_logins
from helpers.pipes import Pipe
from helpers.waiting import wait_until

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)
host = pytest.fixture(make_host)

#: More than all the buffers on the way hold.
SIZE = 1_000_000

PRINT = "head -c {size} /dev/zero | tr '\\0' {letter}"


@pytest.mark.parametrize("streams", ["out", "err", "out err", "err out"])
def test_login_prints_at_its_end(host: Host, capsys: pytest.CaptureFixture[str], streams: str) -> None:
    """What the login prints when the server has ended hinders nobody; what it prints as an error is shown."""
    host.add_command("head", "tr")
    commands = {
        "out": PRINT.format(size=SIZE, letter="o"),
        "err": PRINT.format(size=SIZE, letter="e") + " >&2",
    }
    host.suffix = "; " + "; ".join(commands[stream] for stream in streams.split())
    client = host.connect()
    ssh = ssh_process(client)
    client.close()

    assert ssh.returncode == 0
    assert capsys.readouterr().err.count("e") == ("err" in streams) * SIZE


def test_remote_code_prints_at_exit(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """All that remote code prints at its exit is shown."""
    define_common(f"import atexit\ndef later(): atexit.register(print, {SIZE} * 'e')")
    client = host.connect()
    client.later()
    ssh = ssh_process(client)
    client.close()

    assert ssh.returncode == 0
    assert capsys.readouterr().err.count("e") == SIZE


@pytest.mark.parametrize("stopped", ["ssh", "ssh and process"])
def test_close_of_an_ssh_that_does_not_end(host: Host, stopped: str) -> None:
    """Closing takes five seconds at most, also when ssh is stopped, and the process there, too, while a call is under way."""
    client = host.connect(rpython=sys.executable)
    response = client.call("time.sleep", 600, nonblocking=True)
    ssh = ssh_process(client)
    pid = client.call("os.getpid", threadid=1)
    if stopped != "ssh":
        os.kill(pid, signal.SIGSTOP)
    ssh.send_signal(signal.SIGSTOP)  # SIGTERM stays pending
    began = time.monotonic()
    client.close()
    lasted = time.monotonic() - began
    if stopped != "ssh":
        os.kill(pid, signal.SIGCONT)
    with pytest.raises(OutcomeUnknown, match="^Connection closed$"):
        response.wait()

    assert ssh.returncode is not None
    assert lasted < 5


def test_other_thread_waits(host: Host, tmp_path: Path) -> None:
    """A thread that waits for an answer learns of the end at once, not when the host has done all that it has to."""
    define_common(
        "def hold(path):\n"
        "    open(path + '-begun', 'w').close()\n"
        "    try:\n"
        "        open(path, 'rb', 0).read(1)\n"
        "    finally:\n"
        "        open(path, 'rb', 0).read(1)\n"
        "        open(path + '-passed', 'w').close()\n"
    )
    with Pipe(tmp_path / "pipe") as pipe:
        client = host.connect(rpython=sys.executable)
        response = client.hold(pipe.path, nonblocking=True)
        errors: list[BaseException] = []

        def wait() -> None:
            try:
                response.wait()
            except ConnectionLost as error:
                errors.append(error)
            pipe.write("xx")  # only now can the call end

        thread = threading.Thread(target=wait)
        thread.start()
        transport: Any = client._easycluster_connection.transport  # type: ignore[union-attr]
        wait_until(lambda: transport._waiting and (tmp_path / "pipe-begun").exists())
        client.close()
        thread.join()

    assert [str(error) for error in errors] == ["Connection closed"]
    assert (tmp_path / "pipe-passed").exists()
