"""The script of SysV init; tests/integration/test_init_scripts.py installs it."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster import Client
from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services.sysv import Places, SysvService, make_script
from helpers.shellcheck import check_script
from helpers.sshd import free_port


class Script:
    """The script, with all its places in a folder.

    Args:
        folder: an empty folder.
        port: the port of the server.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.key = generate_key()
        write_key_file(str(folder / "server.key"), self.key)
        self.port = port
        self.config = folder / "server.ini"
        self.config.write_text(
            f"[server]\nkeyfile = server.key\nbind = 127.0.0.1\nport = {port}\nverbose = 1\nclass = QuietServer\n"
        )
        (folder / "subsys").mkdir()
        self.lock = folder / "subsys" / "easycluster"
        self.log = folder / "easycluster.log"
        self.pid_file = folder / "run" / "easycluster.pid"
        command = (sys.executable, "-m", "easycluster", "-S", "--config", str(self.config))
        places = Places(str(self.pid_file.parent), str(self.log), str(self.lock))
        self._path = folder / "easycluster"
        self._path.write_text(
            make_script(command, str(self.config), getpass.getuser(), "# A test.\n", places)
        )

    def run(self, verb: str) -> tuple[int, str]:
        """Run the script; return its exit status, and its output and errors."""
        done = subprocess.run(
            ["sh", self._path, verb], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout

    def client(self) -> Client:
        """A client of the server."""
        return Client(self.key, "127.0.0.1", self.port)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """The script; its server ends with the test."""
    script = Script(tmp_path, free_port())
    yield script
    script.run("stop")


@pytest.mark.integration
def test_verbs(script: Script) -> None:
    """The script starts, restarts and stops a server, once each, with the exit statuses of LSB."""
    assert script.run("status")[0] == 3
    assert script.run("try-restart") == (0, "")
    status, said = script.run("start")
    assert status == 0
    assert f"listens on 127.0.0.1:{script.port}\neasycluster: runs\n" in said
    first = script.pid_file.read_text()
    assert script.run("start") == (0, "easycluster: runs\n")
    assert script.pid_file.read_text() == first
    assert script.run("status") == (0, f"easycluster: runs, its process is {first}")
    assert script.lock.exists()
    with script.client() as client:
        assert client.eval("6 * 7") == 42
    assert script.run("restart")[0] == 0
    assert script.pid_file.read_text() != first
    assert script.run("stop") == (0, "easycluster: does not run\n")
    assert script.run("stop") == (0, "easycluster: does not run\n")
    assert script.run("status")[0] == 3
    assert not script.pid_file.exists()
    assert not script.lock.exists()
    assert "connection from 127.0.0.1" in script.log.read_text()
    assert script.run("jump")[0] == 2


@pytest.mark.integration
def test_a_failure_is_told(script: Script) -> None:
    """Where the server does not start, the script says why, and fails."""
    script.config.write_text(script.config.read_text().replace("class = ", "class = Un"))

    status, said = script.run("start")

    assert status == 1
    assert "there is no server class 'UnQuietServer'" in said
    assert said.endswith("easycluster: was not started\n")
    assert script.run("status")[0] == 3


@pytest.mark.integration
def test_the_number_of_another_process_is_not_believed(script: Script) -> None:
    """A file that names a process which is no server leads to no signal for that process, whatever it has open."""
    words = ["sh", "-c", "read line", "-S", "--config", str(script.config)]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as other:
        script.pid_file.parent.mkdir()
        script.pid_file.write_text(f"{other.pid}\n")
        assert script.run("status")[0] == 1
        assert script.run("stop")[0] == 0
        assert other.poll() is None
        for nonsense in ("-1\n", "", "x\n"):
            script.pid_file.write_text(nonsense)
            assert script.run("status")[0] == 1
        other.kill()


def test_the_log_of_the_settings(script: Script, tmp_path: Path) -> None:
    """A log that the settings name goes before the usual one."""
    with script.config.open("a") as config:
        config.write("log = other.log\n")

    assert script.run("start")[0] == 0
    with script.client() as client:
        client.eval("0")
    assert script.run("stop")[0] == 0

    assert script.log.read_text() == ""
    assert "connection from 127.0.0.1" in (tmp_path / "other.log").read_text()


def test_lint() -> None:
    """Shellcheck finds nothing, also where places have spaces and quotes."""
    (file,) = SysvService(("/opt/my 'python'", "-m", "easycluster")).files(Settings({}))

    assert file.mode == 0o755
    check_script(file.content)


def test_who_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script is linked by the first program that is here; without any there is no such service."""
    service = SysvService(("/bin/sh",))
    settings = Settings({"service_user": getpass.getuser()})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none of update-rc.d, chkconfig, insserv is here" in service.find_problem(settings)
    for name, command in (("insserv", "insserv"), ("chkconfig", "chkconfig --add")):
        (tmp_path / name).touch(0o755)
        assert service.find_problem(settings) == ""
        assert f"run: {command} easycluster" in [step.describe() for step in service.enable()]


def test_pipe_in_the_place_of_the_pid_file(script: Script) -> None:
    """The user of the server can put a pipe there, for which a shutdown does not wait."""
    script.pid_file.parent.mkdir()
    os.mkfifo(script.pid_file)

    assert script.run("status")[0] == 1
    assert script.run("stop") == (0, "easycluster: does not run\n")
    assert not script.pid_file.exists()
