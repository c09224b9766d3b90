"""Remote code that harms its own process: a clear error of that call, and nothing else is harmed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import ConnectionLost, define_common
from easycluster_server._system.posix.proc import read_process
from helpers.client_states import close_half
from helpers.masters import identify, wait_until_gone
from helpers.waiting import wait_until

TLS_TOO = True

REMOTE = '''
import os, resource, time

class Broken(Exception):
    """An exception that only the definitions have."""

FILES = []

def use_up_descriptors(custom=False):
    """Open files until that fails."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limit[1]), limit[1]))
    try:
        while True:
            FILES.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        if not custom:
            raise
        raise Broken("none is left")

def give_back():
    while FILES:
        os.close(FILES.pop())

def fail(text):
    raise Broken(text)

def confine(folder):
    os.chroot(folder)
    os.chdir("/")
    raise LookupError("no way out")

def close_all_and_write(folder):
    """Close all descriptors as daemons do, and open many files that stay open until the process ends."""
    os.closerange(3, 5000)
    for number in range(300):
        FILES.append(os.open(os.path.join(folder, str(number)), os.O_CREAT | os.O_RDWR))
    time.sleep(600)

def replace_by_c(path):
    """What no Python can see coming."""
    import ctypes

    arguments = (ctypes.c_char_p * 3)(b"sleep", b"600", None)
    ctypes.CDLL(None).execv(path.encode(), arguments)

def say_and_sleep(path):
    open(path, "w").close()
    time.sleep(600)
'''


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


def test_exec(client: Any) -> None:
    """``os.exec*`` in the worker is an error of that call which says what to call instead."""
    with pytest.raises(PermissionError, match=r"subprocess\.run\(\)"):
        client.call("os.execvp", "true", ["true"], origexc="quiet")

    assert client.eval("6 * 7") == 42


def test_exec_by_c(connect: Callable[[], Any]) -> None:
    """A worker that C code has replaced is noticed, its call fails, and the program that replaced it ends."""
    client = connect()
    processes = identify(client.os.getpid())
    sleep = client.shutil.which("sleep")
    with pytest.raises(ConnectionLost):
        client.replace_by_c(sleep)

    wait_until_gone(processes)


def test_reason_of_the_guardian(spawn: Callable[[], Any], capfd: pytest.CaptureFixture[str]) -> None:
    """Standard error says why a connection was lost whose worker was replaced."""
    client = spawn()
    guardian = client.os.getppid()
    sleep = client.shutil.which("sleep")
    with pytest.raises(ConnectionLost):
        client.replace_by_c(sleep)
    wait_until(lambda: read_process(guardian) is None)

    assert "replaced its process (os.exec*)" in capfd.readouterr().err


def test_closed_descriptors(connect: Callable[[], Any], tmp_path: Path) -> None:
    """When remote code closes descriptors that are not its own, nothing of ours gets into the files that it opens
    then."""
    client = connect()
    processes = identify(client.os.getpid(), client.os.getppid())
    with pytest.raises(ConnectionLost):
        client.close_all_and_write(str(tmp_path))
    wait_until_gone(processes)

    assert {file.stat().st_size for file in tmp_path.iterdir()} == {0}


@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
def test_no_descriptors_are_left(connect: Callable[[], Any], warm: bool) -> None:
    """The error of a worker that is out of descriptors arrives, and so do later values and errors."""
    client = connect()
    if warm:
        with pytest.raises(Exception, match="before") as before:
            client.fail("before", origexc="quiet")
        assert type(before.value).__name__ == "Broken"
    with pytest.raises(OSError) as raised:  # noqa: PT011 -- its number is asserted
        client.use_up_descriptors(origexc="quiet")

    assert raised.value.errno == errno.EMFILE
    assert "in use_up_descriptors" in str(raised.value.__cause__)
    assert client.len(b"x" * 300_000) == 300_000
    with pytest.raises(Exception, match="none is left") as other:
        client.use_up_descriptors(True, origexc="quiet")
    assert type(other.value).__name__ == "Broken"
    client.give_back()
    assert client.eval("[1, {2}]") == [1, {2}]
    with pytest.raises(Exception, match="after") as after:
        client.fail("after", origexc="quiet")
    assert "raise Broken(text)" in str(after.value.__cause__)


@pytest.mark.needs_mounts
def test_confined_to_a_folder(connect: Callable[[], Any], tmp_path: Path) -> None:
    """The error of a worker that sees no file of Python any more arrives, and the next value, too."""
    client = connect()
    with pytest.raises(LookupError, match="no way out"):
        client.confine(str(tmp_path), origexc="quiet")

    assert client.eval("6 * 7") == 42
    with pytest.raises(Exception, match="later"):
        client.fail("later", origexc="quiet")


def test_half_closed_link(connect: Callable[[], Any], tmp_path: Path) -> None:
    """A call that the end of the connection interrupts is a lost one, and no KeyboardInterrupt on the master."""
    client = connect()
    response = client.say_and_sleep(str(tmp_path / "begun"), nonblocking=True)
    wait_until((tmp_path / "begun").exists)
    close_half(client)
    with pytest.raises(ConnectionLost):
        response.wait()


@pytest.mark.parametrize(
    "name",
    [
        "os._exit",
        "os.close",
        "os.fstat",
        "os.getpid",
        "os.open",
        "os.read",
        "os.readv",
        "os.write",
        "os.writev",
        "select.poll",
    ],
)
def test_functions_that_remote_code_replaces(
    connect: Callable[[], Any], capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """Remote code that takes a function of the system away from its process keeps its connection, which ends in order."""
    client = connect()
    process = identify(client.os.getppid())
    client.execblock(f"import os, select; {name} = None")

    assert client.len(b"x" * 300_000) == 300_000
    client.close()
    wait_until_gone(process)
    captured = capfd.readouterr()
    assert "easycluster" not in captured.out + captured.err
