"""What ssh asks the user: on a terminal, or by a program; and Ctrl-C on that terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import leaks
from helpers.masters import Master, all_below, wait_until_gone
from helpers.pipes import Pipe
from helpers.sshd import Sshd
from helpers.terminals import Terminal
from helpers.waiting import wait_until

pytestmark = pytest.mark.needs_sshd

CTRL_C = "\x03"

#: The clock goes on by ten seconds with each look at an ssh that asks, so a prompt lasts long in no time.
SLOW_USER = """
from easycluster_client import _deadlines
from easycluster_client._ssh import process

class Clock:
    ahead = 0
    def monotonic(self):
        return time.monotonic() + self.ahead

clock = _deadlines.time = Clock()
looks = 0
real = process.is_prompting

def is_prompting(pid):
    global looks
    found = real(pid)
    if found:
        looks += 1
        clock.ahead += 10
        say(looks=looks)
    return found

process.is_prompting = is_prompting
"""

#: Connects, calls once and says what came of it.
CONNECT = """
try:
    with connect(connect_timeout=25) as client:
        say(value=client.eval("6 * 7"))
except easycluster.ConnectError as error:
    say(error=type(error).__name__, text=str(error))
except KeyboardInterrupt:
    say(error="KeyboardInterrupt")
hear()
"""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal."""
    with Terminal() as terminal:
        yield terminal


class Config:
    """An ssh configuration that lets ssh ask."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self._path = folder / "ssh_config"
        self._path.write_text(sshd.config.read_text().replace("BatchMode yes", "BatchMode no"))

    def replace(self, before: str, after: str) -> None:
        """Change a part of it."""
        text = self._path.read_text()
        assert before in text
        self._path.write_text(text.replace(before, after))

    @property
    def how(self) -> dict[str, Any]:
        """How a master connects with it."""
        return {"name": "ssh", "options": ["-F", str(self._path)]}


@pytest.fixture
def config(sshd: Sshd, tmp_path: Path) -> Config:
    """A configuration for the sshd of the tests."""
    return Config(tmp_path, sshd)


@pytest.fixture
def passphrase(config: Config, sshd: Sshd, tmp_path: Path) -> str:
    """The passphrase that the only key needs."""
    key = tmp_path / "key"
    for name in ("id", "id.pub"):
        shutil.copy2(sshd.folder / name, key.with_suffix(Path(name).suffix))
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)], check=True)
    config.replace(f"IdentityFile {sshd.folder}/id", f"IdentityFile {key}\n  NumberOfPasswordPrompts 1")
    return "secret"


def hear_looks(master: Master, count: int) -> None:
    """Wait until a master has seen so many times that ssh asks."""
    while master.hear()["looks"] < count:
        pass


def hear_end(master: Master) -> dict[str, Any]:
    """Wait for what a master says at its end."""
    while "looks" in (heard := master.hear()):
        pass
    return heard


def test_passphrase(terminal: Terminal, config: Config, passphrase: str, tmp_path: Path) -> None:
    """A passphrase is asked for on the terminal, without echo, and the time for it does not count."""
    with Master(config.how, terminal.take + SLOW_USER + CONNECT, tmp_path) as master:
        terminal.read_until("Enter passphrase for key ")
        hear_looks(master, 5)
        assert not terminal.echoes
        terminal.enter(f"{passphrase}\n")

        assert hear_end(master) == {"value": 42}
    assert passphrase not in terminal.shown
    assert terminal.echoes


def test_wrong_passphrase(terminal: Terminal, config: Config, passphrase: str, tmp_path: Path) -> None:
    """A wrong passphrase is a refused login."""
    with Master(config.how, terminal.take + CONNECT, tmp_path) as master:
        terminal.read_until("Enter passphrase for key ")
        terminal.enter("wrong\n")

        heard = master.hear()
    assert heard["error"] == "AuthenticationError"
    assert "Permission denied (publickey)" in heard["text"]


#: After the prompt the clock is fast, too.
SILENT_HOST = """
after_prompt = process.is_prompting

def is_prompting(pid):
    found = after_prompt(pid)
    if looks and not found:
        clock.ahead += 5
    return found

process.is_prompting = is_prompting
try:
    Client(host="h", ssh=True, rpython="cat >/dev/null #", extra_args=HOW["options"], connect_timeout=25)
except OSError as error:
    say(text=str(error))
"""


def test_time_after_a_prompt_counts(
    terminal: Terminal, config: Config, passphrase: str, tmp_path: Path
) -> None:
    """When the host says nothing after the prompt, the limit is over in the end."""
    with Master(config.how, terminal.take + SLOW_USER + SILENT_HOST, tmp_path) as master:
        terminal.read_until("Enter passphrase for key ")
        hear_looks(master, 5)
        terminal.enter(f"{passphrase}\n")

        assert "no answer within 25 seconds" in hear_end(master)["text"]


def test_passphrase_for_a_jump_host(
    terminal: Terminal, config: Config, passphrase: str, tmp_path: Path
) -> None:
    """What the ssh to a jump host asks works the same, and so does the second question."""
    how = {"name": "ssh", "options": [*config.how["options"], "-J", "jump"]}
    with Master(how, terminal.take + SLOW_USER + CONNECT, tmp_path) as master:
        for looks in (3, 6):
            terminal.read_until("Enter passphrase for key ")
            hear_looks(master, looks)
            terminal.enter(f"{passphrase}\n")

        assert hear_end(master) == {"value": 42}


@pytest.mark.parametrize(("answer", "value"), [("yes", 42), ("no", None)])
def test_host_key(
    terminal: Terminal, config: Config, sshd: Sshd, tmp_path: Path, answer: str, value: int | None
) -> None:
    """A host key that is not known is asked about, and the time for that does not count."""
    known = tmp_path / "known_hosts"
    config.replace(f"UserKnownHostsFile {sshd.folder}/known_hosts", f"UserKnownHostsFile {known}")
    config.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking ask")
    with Master(config.how, terminal.take + SLOW_USER + CONNECT, tmp_path) as master:
        terminal.read_until("Are you sure you want to continue connecting (yes/no/[fingerprint])? ")
        hear_looks(master, 5)
        terminal.enter(f"{answer}\n")

        heard = hear_end(master)
    if value is not None:
        assert heard == {"value": value}
        assert known.read_text().startswith("easycluster-test ssh-ed25519 ")
    else:
        assert heard["error"] == "ConnectError"
        assert "ssh does not know its host key" in heard["text"]


def test_program_that_asks(config: Config, passphrase: str, tmp_path: Path) -> None:
    """Without a terminal, the program that SSH_ASKPASS names asks, and the time for it does not count."""
    program = tmp_path / "ask-the-user-please"
    with Pipe(tmp_path / "answer") as pipe:
        program.write_text(f"#!/bin/sh\nhead -n 1 {pipe.path}\n")
        program.chmod(0o755)
        setting = f"os.environ.update(SSH_ASKPASS={str(program)!r}, SSH_ASKPASS_REQUIRE='force')\n"
        with Master(config.how, setting + SLOW_USER + CONNECT, tmp_path) as master:
            hear_looks(master, 5)
            pipe.write(f"{passphrase}\n")

            assert hear_end(master) == {"value": 42}


# A password.

#: The one of root is "secret" where sshd looks.
SHADOW = (
    "root:$6$easycluster$UXCTTODMPLa9ZvVovMtjBl1cFJXY2Wlx5B1ZNmzah8XTtZ/Z5HQ3dllqU6rEvdDbXJARnxYW4T4/"
    ".RhOanRrl0:19000:0:99999:7:::\n"
)


@pytest.fixture
def sshd_with_passwords(
    run_mark: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> Iterator[Sshd]:
    """An sshd that takes a password; that of root is of its own, in a mount namespace, and nobody else sees it."""
    folder = tmp_path_factory.mktemp("passwords")
    (folder / "shadow").write_text(SHADOW)
    real = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    program = folder / "bin" / "sshd"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexec unshare --mount sh -c '\n"
        f'mount --bind {folder}/shadow /etc/shadow && exec {real} -o PasswordAuthentication=yes "$@"\' sh "$@"\n'
    )
    program.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        server = Sshd(folder, {leaks.MARK: run_mark})
    yield server
    server.stop()


@pytest.mark.needs_mounts
def test_password(terminal: Terminal, sshd_with_passwords: Sshd, tmp_path: Path) -> None:
    """A password is asked for on the terminal, again when it was wrong, and the time for it does not count."""
    config = Config(tmp_path, sshd_with_passwords)
    config.replace("IdentitiesOnly yes", "PreferredAuthentications password")
    config.replace("User ", "User root #")
    with Master(config.how, terminal.take + SLOW_USER + CONNECT, tmp_path) as master:
        for looks, answer in ((3, "wrong"), (6, "secret")):
            terminal.read_until("'s password: ")
            hear_looks(master, looks)
            assert not terminal.echoes
            terminal.enter(f"{answer}\n")

        assert hear_end(master) == {"value": 42}


# Ctrl-C.


def test_interrupt_at_a_prompt(terminal: Terminal, config: Config, passphrase: str, tmp_path: Path) -> None:
    """Ctrl-C at a prompt is a KeyboardInterrupt; the terminal echoes again, and no ssh is left."""
    with Master(config.how, terminal.take + CONNECT, tmp_path) as master:
        terminal.read_until("Enter passphrase for key ")
        wait_until(lambda: not terminal.echoes)
        processes = all_below(master.pid)[1:]
        assert processes
        terminal.enter(CTRL_C)

        assert master.hear() == {"error": "KeyboardInterrupt"}
        assert terminal.echoes
        wait_until_gone(processes)
        assert all_below(master.pid)[1:] == []


INTERRUPTED = """
client = connect()
client.execblock("def wait_for(path):\\n    open(path).read(1)")
say(pid=client.os.getpid())
try:
    client.wait_for(hear()["path"])
except KeyboardInterrupt:
    say(value=client.eval("6 * 7", threadid=1))
hear()
say(pid=client.os.getpid())
hear()
client.close()
say(closed=True)
"""


def test_interrupt_in_a_call(terminal: Terminal, config: Config, tmp_path: Path) -> None:
    """Ctrl-C during a call is a KeyboardInterrupt for the master alone: the connection lives on."""
    with (
        Pipe(tmp_path / "pipe") as pipe,
        Master(config.how, terminal.take + INTERRUPTED, tmp_path) as master,
    ):
        pid = master.hear()["pid"]
        master.say(path=pipe.path)
        wait_until(lambda: _has_open(pid, pipe.path))
        processes = all_below(master.pid)
        terminal.enter(CTRL_C)

        assert master.hear() == {"value": 42}
        pipe.write("a")
        master.say()
        alive = {each.pid for each in all_below(master.pid)}
        assert master.hear() == {"pid": pid}
        assert {each.pid for each in processes} == alive
        master.say()
        assert master.hear() == {"closed": True}
        assert master.wait() == 0


def _has_open(pid: int, path: str) -> bool:
    folder = Path(f"/proc/{pid}/fd")
    return any(os.path.realpath(link) == os.path.realpath(path) for link in folder.iterdir())
