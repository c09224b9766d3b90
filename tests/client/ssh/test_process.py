"""An ssh from its start to its end: what is sent to it, what is read before the server, how it is ended."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from pathlib import Path

import pytest

from easycluster import ConnectError
from easycluster_client import _deadlines
from easycluster_client._deadlines import Deadline
from easycluster_client._ssh import dead_man, process as process_module
from easycluster_client._ssh.process import SshProcess
from easycluster_client._ssh.shipment import startup_bundle
from easycluster_protocol._handshake.hello import describe_self
from easycluster_server._system.posix.proc import read_process, read_processes
from helpers.client_states import be_the_host
from helpers.clocks import Clock
from helpers.fake_ssh import FakeSsh, address, end_ssh, pid_of, start_ssh
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.integration


# Ending it.


def test_kill(fake: FakeSsh) -> None:
    """An ssh that is ended has ended; ending it again does nothing, nor does it before the start."""
    never = SshProcess(address(fake.path))
    end_ssh(never)
    ssh = start_ssh(address(fake.path))
    pid = pid_of(ssh)

    ssh.kill()
    assert pid not in read_processes()
    ssh.kill()

    ssh.connection.close()


def test_other_process_finishes_nothing(
    fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was forked from the master leaves ssh, and those who watch it, alone."""
    processes.append(start_ssh(address(fake.path)))
    told: list[object] = []
    monkeypatch.setattr(dead_man.dead_man, "discard", told.append)
    pid = os.getpid()
    with processes[0].connection.dup(), monkeypatch.context() as patch:  # the master's own stays open
        patch.setattr(os, "getpid", lambda: pid + 1)
        processes[0].finish()

    assert told == []
    now = read_process(pid_of(processes[0]))
    assert now is not None
    assert now.state != "Z"


def test_finish_takes_what_still_comes(fake: FakeSsh, processes: list[SshProcess]) -> None:
    """An ssh that has more to get rid of than a socket holds ends by itself, whatever it says then."""
    fake.write("#!/bin/sh\n[ $1 = -G ] && exit 1\ncat >/dev/null\nhead -c 1000000 /dev/zero && exit 7\n")
    processes.append(ssh := start_ssh(address(fake.path)))
    process = ssh._process
    assert process is not None

    ssh.finish()

    assert process.returncode == 7
    assert ssh.connection.fileno() == -1


def test_finish_is_interrupted(
    fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is interrupted while ssh ends leaves no ssh behind."""

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    fake.write("#!/bin/sh\n[ $1 = -G ] && exit 1\nexec sleep 1000\n")
    processes.append(ssh := start_ssh(address(fake.path)))
    pid = pid_of(ssh)
    monkeypatch.setattr(process_module, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ssh.finish()

    assert pid not in read_processes()
    assert pid not in dead_man.dead_man._noted
    assert ssh.connection.fileno() == -1


# Sending.


def test_sending_to_one_that_does_not_read(
    fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ssh that takes nothing is given up when the time is over, however little a socket holds."""
    clock = Clock()
    monkeypatch.setattr(_deadlines, "time", clock)
    monkeypatch.setattr(_deadlines, "wait", clock.wait)
    real = socket.socketpair

    def small() -> tuple[socket.socket, socket.socket]:
        pair = real()
        for each in pair:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return pair

    monkeypatch.setattr(socket, "socketpair", small)
    fake.write("#!/bin/sh\n[ $1 = -G ] && exit 1\nexec sleep 1000\n")
    processes.append(start_ssh(address(fake.path)))

    with pytest.raises(ConnectError, match="no answer within 30 seconds"):
        processes[0].send_server(describe_self(), Deadline(30))

    assert clock.now == pytest.approx(1030)


def test_sending_in_small_pieces(
    fake: FakeSsh, processes: list[SshProcess], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However little a socket holds, all of our code arrives in the end."""
    real = socket.socketpair

    def small() -> tuple[socket.socket, socket.socket]:
        pair = real()
        for each in pair:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        return pair

    monkeypatch.setattr(socket, "socketpair", small)
    fake.write(f"#!/bin/sh\n[ $1 = -G ] && exit 1\nexec cat >{tmp_path}/received\n")
    processes.append(ssh := start_ssh(address(fake.path)))
    ssh.send_server(describe_self(compress=1), Deadline(PATIENCE))
    ssh.connection.shutdown(socket.SHUT_WR)
    ssh.finish()

    expected = startup_bundle(ssh._marker, pickle.HIGHEST_PROTOCOL, True, ssh.looks)
    assert (tmp_path / "received").read_bytes() == expected


# Reading what comes before the server.


class Login:
    """The beginning of a connection whose other end is here."""

    def __init__(self, marker: bytes) -> None:
        self.ssh = SshProcess(address("ssh"))
        self.host = be_the_host(self.ssh, marker)

    def read(self, *pieces: bytes) -> bytes:
        """Let these arrive one after the other; return what is left for the protocol."""
        reader = threading.Thread(target=self.ssh.wait_for_server, args=(Deadline(PATIENCE),))
        reader.start()
        for piece in pieces:
            self.host.sendall(piece)
            # The next one comes when this one was taken; after the marker nothing is.
            wait_until(lambda: self._unread() == 0 or not reader.is_alive())
        reader.join()
        self.host.shutdown(socket.SHUT_WR)
        rest = b""
        while data := self.ssh.connection.recv(1000):
            rest += data
        return rest

    def _unread(self) -> int:
        try:
            return len(self.ssh.connection.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return 0

    def __enter__(self) -> Login:
        return self

    def __exit__(self, *details: object) -> None:
        self.ssh.kill()
        self.ssh.connection.close()


MARKER = b"easycluster-0123"


NOISE = (b"", b"Welcome.\n", b"e", b"easycluster-\neasycluster-012\n", MARKER, b"x" * 70000)


@pytest.mark.parametrize("size", [1, 7, 10**6])
@pytest.mark.parametrize(
    "rest", [b"", b"EZCL", b"\n" + MARKER + b"\n"], ids=["nothing", "beginning", "marker"]
)
def test_noise(rest: bytes, size: int) -> None:
    """What the login prints is skipped, and not a byte of what follows the marker is lost, however it arrives."""
    for noise in NOISE:
        stream = noise[-200 * size :] + MARKER + b"\n" + rest
        with Login(MARKER) as login:
            found = login.read(*(stream[start : start + size] for start in range(0, len(stream), size)))

        assert found == rest


def test_noise_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that prints more than anyone reads is given up, whatever the time; its last words are kept."""
    monkeypatch.setattr(process_module, "_MAX_NOISE", 1 << 20)
    with Login(MARKER) as login:
        writer = threading.Thread(target=_print_for_ever, args=(login.host,))
        writer.start()
        with pytest.raises(ConnectError, match=r"the login prints without end \(1 MiB so far\)"):
            login.ssh.wait_for_server(Deadline(PATIENCE))
        login.ssh.connection.close()
        writer.join()

    assert set(login.ssh._noise.split()) <= {b"spam", b"pam", b"am", b"m", b"spa", b"sp", b"s"}
    assert len(login.ssh._noise) == 1024


def _print_for_ever(host: socket.socket) -> None:
    try:
        while True:
            host.sendall(b"spam " * 1000)
    except OSError:
        pass


@pytest.mark.parametrize("said", [b"", b"Welcome.\n", MARKER[:-1], MARKER])
def test_end_before_the_server(said: bytes) -> None:
    """When ssh ends before our code runs, what the login printed is kept for the error."""
    with Login(MARKER) as login:
        login.host.sendall(said)
        login.host.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectError):
            login.ssh.wait_for_server(Deadline(PATIENCE))

    assert login.ssh._noise == said
