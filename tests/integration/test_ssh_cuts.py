"""The connection is lost while our code is under way: after each byte to the host, after each byte of its answer."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import easycluster_bootstrap
from easycluster import Client, ConnectError
from easycluster_bootstrap import remote_command
from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT
from easycluster_client._address import Address
from easycluster_client._connect import by_ssh, connect
from easycluster_client._ssh.process import SshProcess
from easycluster_client._ssh.shipment import startup_bundle
from easycluster_protocol._handshake.hello import WELCOME, describe_self, pack_packet
from helpers.fake_ssh import address

MARKER = b"easycluster-0123456789abcdef0123456789abcdef"
SHIPMENT = startup_bundle(MARKER, 5, False)

#: Becomes the host again and again, by a fork of a warm interpreter: each time only so many bytes of
#: what is sent arrive. Prints for each of these numbers how the process ended and what it printed.
HOSTS = """
import json, os, sys, types, zlib

shipment = open(sys.argv[2], "rb").read()
line = compile(sys.argv[1], "<string>", "exec")

def host(size):
    stdin, stdout = os.pipe(), os.pipe()
    os.write(stdin[1], shipment[:size])
    pid = os.fork()
    if pid == 0:
        os.dup2(stdin[0], 0)
        os.dup2(stdout[1], 1)
        os.dup2(stdout[1], 2)
        for descriptor in stdin + stdout:
            os.close(descriptor)
        run()
    for descriptor in stdin + stdout[1:]:
        os.close(descriptor)
    with open(stdout[0], "rb") as file:
        printed = file.read().decode()
    return size, os.waitpid(pid, 0)[1], printed

def run():
    status = 1
    try:
        sys.argv = ["-c"]
        exec(line, {"__name__": "__main__"})
        status = 0
    except SystemExit as error:
        if not isinstance(error.code, int):
            sys.stderr.write(f"{error.code}\\n")
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)

for text in sys.stdin:
    print(json.dumps(host(int(text))), flush=True)
"""


def sizes() -> list[int]:
    """Every byte of what is read in another step than the one before it, and of the long parts some."""
    found: set[int] = set()
    begin = 0
    for stride in (397, 3):
        end = begin + HEADER_LENGTH + int(SHIPMENT[begin + LENGTH_AT : begin + HEADER_LENGTH])
        found.update(range(begin, begin + HEADER_LENGTH + 2), range(begin, end, stride), range(end - 2, end))
        begin = end
    assert begin == len(SHIPMENT)
    return sorted(found)


def test_every_byte_there(tmp_path: Path) -> None:
    """Wherever our code is cut off, the host's process ends with status 1 and one line that says so."""
    assert len(SHIPMENT) < 65_000, "a pipe takes all of it"
    path = tmp_path / "shipment"
    path.write_bytes(SHIPMENT)
    line = shlex.split(remote_command("env python"))[3]
    cuts = sizes()
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", HOSTS, line, str(path)],
        input="".join(f"{size}\n" for size in cuts),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    ends = [json.loads(text) for text in result.stdout.splitlines()]
    assert [size for size, _, _ in ends] == cuts
    for size, status, printed in ends:
        assert status == 1 << 8, (size, status, printed)
        assert printed.startswith("EasyCluster could not start: "), (size, printed)
        assert printed.count("\n") == 1, (size, printed)


#: Runs the remote command here, behind another that passes on what it gets.
PASSING = """\
#!/bin/sh
[ "$1" = -G ] && exit 1
for command; do :; done
{passing} | sh -c "$command"
"""


@pytest.fixture
def passing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a program in the place of ssh that passes on what this command does."""
    monkeypatch.setattr(
        easycluster_bootstrap, "new_marker", lambda: MARKER
    )  # else the length is not always the same

    def make(command: str) -> str:
        path = tmp_path / "ssh"
        path.write_text(PASSING.format(passing=command))
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize("size", [0, 1, 21, 22, 23, 1000, len(SHIPMENT) // 2, len(SHIPMENT) - 1])
def test_client_when_code_is_lost(
    passing: Callable[[str], str], capfd: pytest.CaptureFixture[str], size: int
) -> None:
    """The client's error then says that our code did not start, and quotes the host."""
    with pytest.raises(ConnectError) as caught:
        Client(None, "h", ssh=passing(f"head -c {size}"), rpython=f"{shlex.quote(sys.executable)} -I -S")

    text = str(caught.value)
    first = "cannot connect to h:22 by SSH: Python ran there, but our code did not start"
    if not size:
        first += (
            ": nothing came through its standard input (docker, podman and kubectl exec pass it on only with -i,"
            " ssh only without -n)"
        )
    assert text.startswith(f"{first}\nssh printed:\n    EasyCluster could not start: ")
    assert text.count("\n") == 2
    assert capfd.readouterr() == ("", "")


def test_nothing_is_lost(passing: Callable[[str], str]) -> None:
    """The program that stands for ssh is a good one otherwise."""
    with Client(None, "h", ssh=passing("cat"), rpython=f"{shlex.quote(sys.executable)} -I -S") as client:
        assert client.eval("6 * 7") == 42


# The other way.


class Answering(SshProcess):
    """An ssh through which a host has said something; then it has left, or it says no more."""

    answer = b""
    leaves = True

    def __init__(self, to: Address) -> None:
        super().__init__(to)
        self._marker = MARKER

    def start(self) -> None:
        # Twice as much as is sent, so that nobody has to read it.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(SHIPMENT))
        self._ssh_end.sendall(self.answer)
        if self.leaves:
            self._ssh_end.shutdown(socket.SHUT_WR)


def whole_answer() -> bytes:
    """What a host says when all goes well, up to the end of the handshake."""
    return b"Welcome!\r\n" + MARKER + b"\n" + pack_packet(WELCOME, describe_self(process=1, host="h"))


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> type[Answering]:
    """What stands for ssh in this test."""

    class Fresh(Answering):
        """Has an answer of its own."""

    monkeypatch.setattr(by_ssh, "SshProcess", Fresh)
    return Fresh


def test_every_byte_back(answering: type[Answering]) -> None:
    """Wherever the host's answer is cut off, the client says that the connection could not be made."""
    answer = whole_answer()
    before = answer.index(MARKER)
    for size in range(len(answer)):
        answering.answer = answer[:size]
        with pytest.raises(ConnectError) as caught:
            connect.connect(address(True))

        text = str(caught.value)
        assert text.startswith("cannot connect to h:22 by SSH: the "), size
        if size < before + len(MARKER) + 1:
            assert text.startswith("cannot connect to h:22 by SSH: the connection ended"), size
            assert ("the host answered" in text) == (size > 0), size
        else:
            assert "the peer closed the connection during the handshake" in text, size

    answering.answer = answer
    connected = connect.connect(address(True))
    connected.transport.close()
    connected.finish()


@pytest.mark.parametrize("part", range(0, 12, 2))
def test_silence_after_some_bytes(answering: type[Answering], part: int) -> None:
    """A host that stops in the middle of its answer without leaving is given up when the time is over."""
    answer = whole_answer()
    answering.leaves = False
    answering.answer = answer[: len(answer) * part // 12]
    with pytest.raises(ConnectError, match="by SSH: no answer within 0.1 seconds"):
        connect.connect(address(True, timeout=0.1))


@pytest.mark.parametrize("junk", [b"logout\n", b"\0", b"EZCX", b"SSH-2.0-OpenSSH\r\n", b"E" * 5000])
def test_junk_after_the_marker(answering: type[Answering], junk: bytes) -> None:
    """What is none of the protocol is an error that says so and quotes it, and is not interpreted."""
    answering.answer = b"Welcome!\r\n" + MARKER + b"\n" + junk
    with pytest.raises(ConnectError) as caught:
        connect.connect(address(True))

    text = str(caught.value)
    assert text.startswith("cannot connect to h:22 by SSH: ")
    assert ascii(junk[:4])[2:-1] in text or "SSH" in text
