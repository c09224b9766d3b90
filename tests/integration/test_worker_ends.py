"""Remote processes that end in the middle of a call: its error names the way they ended."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectionLost, define_common
from helpers.sshd import Sshd
from helpers.waiting import wait_until

UPGRADED_TOO = True
TLS_TOO = True

REMOTE = """
import ctypes, os, signal, subprocess, sys, threading, time

def kill():
    os.kill(os.getpid(), 9)

def terminate():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)

def crash():
    ctypes.string_at(0)

def abort():
    os.abort()

def leave(status):
    os._exit(status)

def replace_by_c(path):
    arguments = (ctypes.c_char_p * 3)(b"sleep", b"600", None)
    ctypes.CDLL(None).execv(path.encode(), arguments)

def close_all():
    os.closerange(3, 5000)
    time.sleep(600)

def kill_while_sending():
    threading.Timer(0.2, kill).start()
    return b"x" * 400_000_000

def say_and_hang(path):
    print("easycluster: the process 1 on elsewhere was ended by signal 5", file=sys.stderr, flush=True)
    open(path, "w").close()
    time.sleep(600)
"""

WAYS = [
    ("kill", (), r"was ended by signal 9 \(SIGKILL\)"),
    ("terminate", (), r"was ended by signal 15 \(SIGTERM\)"),
    ("crash", (), r"was ended by signal 11 \(SIGSEGV\)"),
    ("abort", (), r"was ended by signal 6 \(SIGABRT\)"),
    ("leave", (0,), r"has ended itself with status 0, or .*descriptors"),
    ("leave", (73,), r"has ended itself with status 73"),
    ("replace_by_c", (shutil.which("sleep"),), r"remote code has closed the descriptors of .*os\.exec"),
    ("close_all", (), r"descriptors"),
]


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.mark.parametrize(("name", "arguments", "text"), WAYS, ids=[way[0] + str(way[1][:1]) for way in WAYS])
def test_error_names_the_way(
    connect: Callable[[], Any], name: str, arguments: tuple[Any, ...], text: str
) -> None:
    """The error of the call that was under way says how the process ended, and names the host."""
    client = connect()
    with pytest.raises(ConnectionLost, match=text) as raised:
        client.call(name, *arguments)

    assert client.peername in str(raised.value)


def test_kill_from_outside(connect: Callable[[], Any], tmp_path: Path) -> None:
    """So does that of a process which was killed from outside, as for want of memory; what others of the host have
    printed is not taken for it."""
    client = connect()
    process = client.os.getpid()
    response = client.say_and_hang(str(tmp_path / "begun"), nonblocking=True)
    wait_until((tmp_path / "begun").exists)
    os.kill(process, signal.SIGKILL)
    with pytest.raises(ConnectionLost, match=r"was ended by signal 9 \(SIGKILL\)"):
        response.wait()


def test_call_after_the_end(connect: Callable[[], Any]) -> None:
    """A process that ends between two calls is named by the error of the next."""
    client = connect()
    process, guardian = client.os.getpid(), client.os.getppid()
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{guardian}").exists())
    with pytest.raises(ConnectionLost, match=r"was ended by signal 9 \(SIGKILL\)"):
        client.len("x")


def test_end_in_the_middle_of_an_answer(connect: Callable[[], Any]) -> None:
    """A process that dies while it sends harms nothing: its half answer is an error, never a value."""
    client = connect()
    with pytest.raises(ConnectionLost):
        client.kill_while_sending()


@pytest.mark.needs_sshd
def test_ssh_that_is_killed(sshd: Sshd, tmp_path: Path) -> None:
    """When ssh ends by itself, the error quotes what it says."""
    program = tmp_path / "ssh"
    program.write_text(
        f'#!/bin/sh\n{shlex.quote(str(shutil.which("ssh")))} "$@"\n'
        "echo 'Timeout, server h not responding.' >&2\n"
    )
    program.chmod(0o755)
    client: Any = Client(host="h", ssh=str(program), rpython=sys.executable, extra_args=[*sshd.options])
    with client:
        os.kill(client.os.getppid(), signal.SIGKILL)  # nobody there says anything any more
        with pytest.raises(
            ConnectionLost, match="^Remote server not responding .*ssh says: Timeout, server h not responding"
        ):
            client.time.sleep(600)
