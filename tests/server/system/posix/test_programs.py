"""How programs such as ssh are started on POSIX systems, and what they print."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from easycluster_server._system.posix.programs import (
    DONT_WAIT,
    close_output,
    identify_child,
    open_output,
    read_output,
    shield_command,
    start_on_socket,
)
from helpers.waiting import PATIENCE


def test_output() -> None:
    """What is printed can be read without waiting; then comes the end."""
    reading, writing = open_output()
    with pytest.raises(BlockingIOError):
        read_output(reading, 100)
    os.write(writing, b"printed")
    assert read_output(reading, 100) == b"printed"
    close_output(writing)
    assert read_output(reading, 100) == b""
    close_output(reading)


def test_streams_of_a_program() -> None:
    """Standard input and output of a program are one socket, and its errors come apart."""
    ours, theirs = socket.socketpair()
    reading, writing = open_output()
    with ours, theirs:
        with start_on_socket(["sh", "-c", "echo error >&2; cat"], theirs, writing) as process:
            theirs.close()
            close_output(writing)
            ours.sendall(b"there and back")
            ours.shutdown(socket.SHUT_WR)
            with ours.makefile("rb") as file:
                assert file.read() == b"there and back"
            assert process.wait(PATIENCE) == 0
    assert read_output(reading, 100) == b"error\n"
    close_output(reading)


def test_not_waiting() -> None:
    """With the flag a socket waits for nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(BlockingIOError):
        ours.recv(1, DONT_WAIT)


def test_shielded_command() -> None:
    """Ctrl-C does not end it."""
    script = "kill -INT $$; echo goes on"
    command = shield_command(["sh", "-c", script])
    assert subprocess.check_output(command, text=True) == "goes on\n"


def test_identity_of_a_child() -> None:
    """A child has one while it has not been waited for; another process has none."""
    with subprocess.Popen(["sleep", "600"]) as process:
        assert identify_child(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        assert identify_child(process.pid) is None
    assert identify_child(1) is None
