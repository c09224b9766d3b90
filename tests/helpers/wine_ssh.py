"""A stand-in for Windows' own ``ssh.exe``: a Windows program that has pipes as standard streams, and asks the real ssh
of this system to connect."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from helpers import wine
from helpers.sshd import Sshd
from helpers.waiting import PATIENCE

#: Runs on Windows. Of its two connections one has the bytes of its input and output. The other tells its arguments and
#: brings, as lines, what ssh prints to its standard error, and ssh's exit status.
_PROGRAM = """
import json, os, socket, sys, threading

told = socket.create_connection(("127.0.0.1", PORT))
told.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
lines = told.makefile("rb")
data = socket.create_connection(("127.0.0.1", json.loads(lines.readline())))

def carry_in():
    while chunk := os.read(0, 65536):
        data.sendall(chunk)
    data.shutdown(socket.SHUT_WR)

def carry_out():
    while chunk := data.recv(65536):
        while chunk:
            chunk = chunk[os.write(1, chunk):]
    os.close(1)

threading.Thread(target=carry_in, daemon=True).start()
out = threading.Thread(target=carry_out, daemon=True)
out.start()
status = 255
for line in lines:
    told = json.loads(line)
    if isinstance(told, int):
        status = told
    else:
        os.write(2, told.encode("latin-1"))
out.join()
os._exit(status)
"""


class SshBridge:
    """Runs the real ssh for the stand-in.

    Args:
        sshd: to which every host leads.
        folder: of Windows, in which ``ssh.exe`` is put.

    Attributes:
        program: the Windows path of the stand-in.
        commands: the arguments with which it was started.
    """

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.commands: list[list[str]] = []
        self._options = sshd.options
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        python = wine.WindowsPython(wine.USUAL)
        folder.mkdir(parents=True)
        program = folder / "ssh.exe"
        program.write_bytes(_make_program(python, self._listening.getsockname()[1]))
        self.program = wine.windows_path(program)
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                told, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve, args=(told,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, told: socket.socket) -> None:
        with told, told.makefile("rw", encoding="utf-8") as lines:
            line = lines.readline()
            if not line:  # `close`
                return
            arguments = json.loads(line)
            self.commands.append(arguments)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                print(listening.getsockname()[1], file=lines, flush=True)
                data, _ = listening.accept()
            with data:
                process = subprocess.Popen(
                    ["ssh", *self._options, *arguments],
                    stdin=data.fileno(),
                    stdout=data.fileno(),
                    stderr=subprocess.PIPE,
                )
            with process, contextlib.suppress(OSError):  # the stand-in was ended
                assert process.stderr
                while printed := os.read(process.stderr.fileno(), 1 << 16):
                    print(json.dumps(printed.decode("latin-1")), file=lines, flush=True)
                print(process.wait(), file=lines, flush=True)

    def close(self) -> None:
        """Stop listening, and wait for the end of all ssh."""
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()


def _make_program(python: wine.WindowsPython, port: int) -> bytes:
    """Return a program as pip makes them: a launcher, the path of Python, and a zip with the code."""
    launcher = python.folder / "Lib" / "site-packages" / "pip" / "_vendor" / "distlib" / "t64.exe"
    interpreter = wine.windows_path(python.folder / "python.exe")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", _PROGRAM.replace("PORT", str(port)))
    return launcher.read_bytes() + f'#!"{interpreter}"\r\n'.encode() + archive.getvalue()


@contextlib.contextmanager
def bridge(sshd: Sshd, folder: Path) -> Iterator[SshBridge]:
    """A `SshBridge` for the length of a block."""
    made = SshBridge(sshd, folder)
    try:
        yield made
    finally:
        made.close()
