"""The two processes of a connection, and the descriptors that lead to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from easycluster_server._system.posix.processes import move_up
from helpers.waiting import PATIENCE

TAKE_OVER = """
import os, subprocess, sys
from easycluster_server._system.stdio import take_over

transport = take_over()
print("print")
os.write(1, b"write\\n")
subprocess.run(["sh", "-c", "cat; echo child"], check=True)
sys.stdout.flush()
os.write(transport.write_fileno(), repr((type(transport).__name__, os.read(transport.fileno(), 100))).encode())
"""


def run(code: str, stdin: Any, stdout: Any) -> subprocess.Popen[str]:
    """Run code whose standard input and output are these."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True
    )


def test_no_process_for_a_worker() -> None:
    """When there can be no worker, a client that waits for the server's welcome is told why."""
    code = """
import json, os, socket
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.stdio import run_guardian_and_worker

def fail():
    raise BlockingIOError(11, "Resource temporarily unavailable")

ours, theirs = socket.socketpair()
if os.fork() == 0:
    os.fork = fail
    ours.close()
    run_guardian_and_worker(SocketTransport(theirs), lambda transport: 0, ())
theirs.close()
os.wait()
handshake = ClientHandshake(None)
try:
    handshake.receive_data(ours.recv(1000))
except OSError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = json.loads(result.stdout)

    assert found[0] == "ConnectError"
    assert found[1].endswith("no process can be started for it: [Errno 11] Resource temporarily unavailable")
    assert result.stderr == ""


@pytest.mark.parametrize("kind", ["socket", "two sockets", "pipes"])
def test_standard_descriptors_are_taken_over(kind: str) -> None:
    """The protocol gets them; afterwards standard input is empty, and all output is standard error."""
    if kind == "pipes":
        process = run(TAKE_OVER, subprocess.PIPE, subprocess.PIPE)
        output, errors = process.communicate("for the protocol", PATIENCE)
    else:
        ours, theirs = socket.socketpair()
        other, their_other = (ours.dup(), theirs.dup()) if kind == "socket" else socket.socketpair()
        with ours, theirs, other, their_other:
            process = run(TAKE_OVER, theirs, their_other)
            ours.sendall(b"for the protocol")
            _, errors = process.communicate(timeout=PATIENCE)
            output = other.recv(1000).decode()

    name = "SocketTransport" if kind == "socket" else "PipeTransport"
    assert output == repr((name, b"for the protocol"))
    assert sorted(errors.split()) == ["child", "print", "write"]


def test_descriptor_is_moved_up() -> None:
    """A descriptor gets a number that no file which is opened next has, and is not inherited."""
    reading, writing = os.pipe()
    moved = move_up(writing)
    with open(os.devnull) as file:
        assert file.fileno() <= writing < moved
    assert not os.get_inheritable(moved)
    os.write(moved, b"x")
    os.close(moved)

    assert os.read(reading, 2) == b"x"
    os.close(reading)


def test_descriptor_that_cannot_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no higher number, it stays."""
    reading, writing = os.pipe()
    monkeypatch.setattr(os, "sysconf", lambda name: -1)

    assert move_up(writing) == writing
    os.close(reading)
    os.close(writing)
