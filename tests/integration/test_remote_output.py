"""What remote code prints, in whatever way, comes out of the master's standard error and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import Client, ConnectionLost, define_common
from easycluster_client._ssh import output
from helpers.masters import Master
from helpers.pipes import Pipe
from helpers.screens import Recorder
from helpers.sshd import Sshd
from helpers.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.needs_sshd

REMOTE = """
import ctypes, os, subprocess, sys, threading

libc = ctypes.CDLL(None)

def run(code):
    exec(code, globals())

def run_and_wait(code, path):
    exec(code, globals())
    with open(path, "rb", 0) as file:
        return file.read(1).decode()

def print_lines(name, count):
    "Print from four threads, and from two child processes, at once."
    def write(number):
        for line in range(count):
            sys.stdout.write(f"<{name} {number} {line} {'x' * (line % 100)}>\\\\n")
    script = f"for n in $(seq 0 {count - 1}); do echo '<{name} '$0' '$n' >'; done"
    children = [subprocess.Popen(["sh", "-c", script, str(number)]) for number in (4, 5)]
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [child.wait() for child in children]
""".replace("\\\\", "\\")

#: Ways to print, each of which makes the line "line".
WAYS = (
    "print('line')",
    "print('line', file=sys.stderr)",
    "sys.stdout.buffer.write(b'line\\n'); sys.stdout.flush()",
    "os.write(1, b'line\\n')",
    "os.write(2, b'line\\n')",
    "libc.puts(b'line')",
    "os.system('echo line')",
    "os.system('echo line >&2')",
    "subprocess.run(['printf', 'line\\n'], check=True)",
    "import logging; logging.warning('line')",
)

#: Ways in which the line remains without its end, or is printed only at the end.
LAST = (
    "print('line', end='')",
    "sys.stderr.write('line')",
    "sys.stdout.buffer.write(b'line')",
    "libc.printf(b'line')",
    "import atexit; atexit.register(print, 'line')",
)


@pytest.fixture(autouse=True)
def remote() -> None:
    """The functions above are defined on clients that are made from now on."""
    define_common(REMOTE)


@pytest.fixture
def screen() -> Recorder:
    """What stands for the master's standard error once `connect` was called."""
    return Recorder()


@pytest.fixture
def connect(sshd: Sshd, screen: Recorder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes clients over ssh."""

    def connect(*extra: str, partial: float = 1000, **options: Any) -> Any:
        # Not before: pytest sets it anew when a test begins.
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(output, "_PARTIAL_SECONDS", partial)
        return Client(
            None, "h", ssh=True, rpython=sys.executable, extra_args=[*sshd.options, *extra], **options
        )

    return connect


def test_every_way(connect: Callable[..., Any], screen: Recorder) -> None:
    """However something is printed, it comes as lines, and calls work on."""
    with connect() as client:
        for count, code in enumerate(WAYS, 1):
            client.run(code)
            wait_until(lambda count=count: screen.text.count("\n") == count, what=code)  # type: ignore[misc]
            assert client.eval("6 * 7") == 42

    assert screen.text.replace("WARNING:root:", "") == "line\n" * len(WAYS)


@pytest.mark.parametrize("code", LAST)
def test_last_line(connect: Callable[..., Any], screen: Recorder, code: str) -> None:
    """What has no line end, or is printed only when the remote process ends, is there when `close` returns."""
    with connect() as client:
        client.run(code)

    assert screen.text == "line\n"


def test_order(connect: Callable[..., Any], screen: Recorder) -> None:
    """What one thread prints in several ways comes in its order."""
    lines = """
    print("one")
    os.write(2, b"two\\n")
    libc.puts(b"three")
    os.system("echo four")
    sys.stderr.write("five\\n")
    os.write(1, b"six\\n")
    print("seven", end="")
    """
    with connect() as client:
        client.run("\n".join(line.strip() for line in lines.splitlines()))

    assert screen.text.split() == ["one", "two", "three", "four", "five", "six", "seven"]


@pytest.mark.parametrize("code", ["print('now')", "libc.puts(b'now')", "sys.stderr.write('now\\n')"])
def test_while_a_call_runs(connect: Callable[..., Any], screen: Recorder, tmp_path: Path, code: str) -> None:
    """A line is shown when it is printed, not when the call is over."""
    with Pipe(tmp_path / "pipe") as pipe, connect() as client:
        response = client.run_and_wait(code, pipe.path, nonblocking=True)
        screen.wait_for("now\n")
        pipe.write("a")

        assert response.wait() == "a"


def test_unfinished_line(connect: Callable[..., Any], screen: Recorder, tmp_path: Path) -> None:
    """The beginning of a line is shown while the rest is still to come, and so is a line that is written over."""
    code = "print('10%', end='\\r'); print('20%', end='', flush=True)"
    with Pipe(tmp_path / "pipe") as pipe, connect(partial=0.2) as client:
        response = client.run_and_wait(code, pipe.path, nonblocking=True)
        screen.wait_for("10%\r20%")
        pipe.write("a")

        assert response.wait() == "a"


def test_whole_lines(connect: Callable[..., Any], screen: Recorder) -> None:
    """The lines of many threads, child processes and two hosts at once stay whole, and none is missing."""
    count = 300
    with connect() as first, connect() as second:
        responses = [
            client.print_lines(name, count, nonblocking=True)
            for client, name in ((first, "first"), (second, "second"))
        ]
        assert [response.wait() for response in responses] == [[0, 0]] * 2

    lines = screen.text.splitlines()
    expected = {
        f"<{name} {number} {n}" for name in ("first", "second") for number in range(6) for n in range(count)
    }
    assert {" ".join(line.split()[:3]) for line in lines} == expected
    assert len(lines) == len(expected)
    assert {line[-1] for line in lines} == {">"}


def test_junk(connect: Callable[..., Any], screen: Recorder) -> None:
    """Bytes that are no text, and that look like our protocol, do no harm."""
    with connect() as client:
        client.run("os.write(1, bytes(range(256)) * 20 + b'EZCL\\1\\0\\0\\0' * 10 + b'\\n')")
        client.run("os.write(2, b'\\xff' * 3 + 'käse'.encode() + b'\\n')")

        assert client.eval("6 * 7") == 42
    assert screen.text.endswith("\\xff\\xff\\xffkäse\n")
    assert screen.text.count("EZCL") == 10


def test_long_line(connect: Callable[..., Any], screen: Recorder) -> None:
    """Of a line without end nothing is lost."""
    with connect() as client:
        client.run("print('x' * 3_000_000, end='')")

    assert screen.text.count("x") == 3_000_000


class Counter(Recorder):
    """Only counts."""

    count = 0

    def write(self, text: str) -> None:
        self.count += len(text)


def test_100_megabytes(connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process may print 100 MB while calls go on, and every byte of it comes out."""
    size = 100 << 20
    screen = Counter()
    with connect() as client:
        monkeypatch.setattr(sys, "stderr", screen)
        response = client.run(
            f"os.system('yes 0123456789abcde 2>/dev/null | head -c {size}')", threadid=1, nonblocking=True
        )
        calls = 0
        while not response.have_response:
            calls += 1
            assert client.eval("6 * 7") == 42

    assert calls > 10
    assert screen.count == size


@pytest.mark.parametrize("stream", [None, "closed"])
def test_no_standard_error(
    connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stream: str | None
) -> None:
    """Where the master has no standard error what is printed is thrown away, and the host need not wait."""
    with connect() as client:
        closed = (tmp_path / "closed").open("w")
        closed.close()
        monkeypatch.setattr(sys, "stderr", None if stream is None else closed)
        client.run("os.write(2, b'x' * 5_000_000)")
        client.run("os.write(2, b'line\\n' * 1_000_000)")

        assert client.eval("6 * 7") == 42


def test_words_of_ssh(connect: Callable[..., Any], screen: Recorder, tmp_path: Path) -> None:
    """What ssh says while it connects is shown when the connection stands."""
    known = tmp_path / "known_hosts"
    options = {"LogLevel": "INFO", "StrictHostKeyChecking": "accept-new", "UserKnownHostsFile": known}
    with connect(*(f"-o{name}={value}" for name, value in options.items())):
        wait_until(lambda: screen.text)

    assert screen.text.startswith("Warning: Permanently added 'easycluster-test' (ED25519)")
    assert screen.text.count("\n") == 1


def test_last_words(connect: Callable[..., Any], screen: Recorder) -> None:
    """When the remote process ends unexpectedly, what it printed before is not lost."""
    with connect() as client:
        with pytest.raises(ConnectionLost, match="ended itself with status 3"):
            client.run("print('one'); sys.stderr.write('two'); sys.stderr.flush(); os._exit(3)")

    assert re.fullmatch(
        r"one\ntwo\n?easycluster: the process \d+ on .* has ended itself with status 3\n", screen.text
    )


def test_after_close(connect: Callable[..., Any], screen: Recorder) -> None:
    """A child process that outlives the connection does not keep `close` from returning, nor the thread."""
    with connect() as client:
        child = client.eval("subprocess.Popen(['sh', '-c', 'echo begun; sleep 1000']).pid")
        screen.wait_for("begun\n")

    wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_dropped_client(connect: Callable[..., Any], screen: Recorder) -> None:
    """A client that is dropped without `close` ends its output, too."""
    client = connect()
    client.run("print('line')")
    del client

    screen.wait_for("line\n")


PRINTING = """
client = connect()
client.execblock("print('whole'); print('part', end='')")
if {leave!r} == "kill":
    say(printed=True)
    hear()
"""


@pytest.mark.parametrize("leave", ["exit", "kill"])
def test_real_standard_error(sshd: Sshd, tmp_path: Path, leave: str) -> None:
    """On the master's real standard error stands what came before it ended, also without `close`."""
    with Master({"name": "ssh", "options": sshd.options}, PRINTING.format(leave=leave), tmp_path) as master:
        if leave == "kill":
            master.hear()
            wait_until(lambda: master.errors == "whole\n")
        else:
            assert master.wait() == 0
            assert master.errors == "whole\npart\n"


def test_standard_input_is_empty(connect: Callable[..., Any]) -> None:
    """Remote code that reads standard input finds the end of it, not the protocol; so do its children."""
    with connect() as client:
        assert client.eval("sys.stdin.read()") == ""
        assert client.eval("os.read(0, 10)") == b""
        assert client.eval("subprocess.run(['cat'], stdout=subprocess.PIPE).stdout") == b""
        assert client.eval("6 * 7") == 42


def test_master_without_descriptor_2(sshd: Sshd, tmp_path: Path) -> None:
    """A master that was started without standard error connects all the same, and its descriptors stay its own."""
    script = (
        "import sys\nfrom easycluster import Client\n"
        "client = Client(None, 'h', ssh=True, rpython=sys.executable, extra_args=sys.argv[1:])\n"
        "client.execblock(\"print('line' * 1000)\")\n"
        "print(client.eval('6 * 7'))\nclient.close()\n"
    )
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", script, *sshd.options]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)

    assert (result.returncode, result.stdout) == (0, "42\n")
