"""What the examples of the documentation stand in: hosts of their names, an interactive session, scripts that run.

An example says ``host1`` or ``user@example.com`` and means port 11999 of it, or its sshd. So that it can be run as it
is written, all such names lead to servers of our own: in this process by `lead`, in scripts by `run_script`, for ssh
by `install_ssh`.
"""

from __future__ import annotations

import doctest
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from easycluster import Client
from helpers import leaks
from helpers.sshd import Sshd
from helpers.waiting import PATIENCE, wait_until

#: The port of a server in the documentation.
PORT = 11999

Leads = Mapping[tuple[str, int], int]
"""From a host's name and a port to a port of 127.0.0.1."""

#: The functions and the connection of the section "Executing code remotely", on which later sections go on.
ADDVALS = """\
>>> from easycluster import *
>>> define_common('''
... def addvals(a, b):
...     return a + b
... def subvals(a, b):
...     return a - b
... ''')
>>> key = read_key_file('secret.key')
>>> rmt = Client(key, 'localhost')
"""

#: Python runs a module of this name when it starts.
_SITECUSTOMIZE = """\
import json, os, socket

_lookup = socket.getaddrinfo
_leads = {(host, port): real for host, port, real in json.loads(os.environ["EC_TEST_LEADS"])}

def getaddrinfo(host, port, *others, **more):
    real = _leads.get((host, port))
    return _lookup(host, port, *others, **more) if real is None else _lookup("127.0.0.1", real, *others, **more)

socket.getaddrinfo = getaddrinfo
"""


def corrected(text: str, *corrections: tuple[str, str]) -> str:
    """Return an example of the documentation with its typing errors mended.

    Args:
        text: the example, word for word.
        corrections: what stands there once, and what should.
    """
    for wrong, right in corrections:
        assert text.count(wrong) == 1, f"{wrong!r} stands there {text.count(wrong)} times"
        text = text.replace(wrong, right)
    return text


def _format_without_notes(cls: type[BaseException], error: BaseException) -> list[str]:
    lines = traceback.format_exception_only(cls, error)
    return lines[: len(lines) - len(getattr(error, "__notes__", ()))]


#: In the place of `traceback`: the documentation is older than notes, and doctest takes a note for the message.
_WITHOUT_NOTES = SimpleNamespace(**{**vars(traceback), "format_exception_only": _format_without_notes})


class Session:
    """An interactive session, in which examples are typed; its names go on from one to the next.

    Args:
        names: those that there are at the beginning.
    """

    def __init__(self, **names: Any) -> None:
        self.names: dict[str, Any] = names

    def run(self, text: str, checker: doctest.OutputChecker | None = None) -> None:
        """Type an example and compare what is printed with what it shows."""
        test = doctest.DocTestParser().get_doctest(text, self.names, "documentation", None, None)
        printed: list[str] = []
        runner = doctest.DocTestRunner(checker, verbose=False)
        with mock.patch.object(doctest, "traceback", _WITHOUT_NOTES):
            runner.run(test, out=printed.append, clear_globs=False)
        self.names = test.globs
        assert runner.failures == 0, "".join(printed)
        assert runner.tries > 0

    def close(self) -> None:
        """Close the clients that it made, as the end of an interpreter does."""
        for value in self.names.values():
            if isinstance(value, Client):
                value.close()


def lead(monkeypatch: pytest.MonkeyPatch, leads: Leads) -> None:
    """Let connections of this process to hosts and ports lead to others."""
    lookup = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *others: Any, **more: Any) -> Any:
        if (host, port) in leads:
            host, port = "127.0.0.1", leads[host, port]
        return lookup(host, port, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def run_script(
    command: list[str], folder: Path, leads: Leads | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder.

    Args:
        command: the arguments of Python.
        folder: its working folder.
        leads: where its connections lead.
    """
    environment = dict(os.environ)
    if leads:
        startup = folder / "startup"
        startup.mkdir(exist_ok=True)
        (startup / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        environment["PYTHONPATH"] = str(startup)
        environment["EC_TEST_LEADS"] = json.dumps([[*name, port] for name, port in leads.items()])
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


def install_ssh(sshd: Sshd, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an ``ssh`` first in PATH for which every host is this one, and every user the one of this process."""
    folder.mkdir()
    program = folder / "ssh"
    user = getpass.getuser()
    # Of the user's names ssh takes the first.
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {sshd.config} -o User={user} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return program


def find_tunnel(port: int) -> int:
    """Return the process id of the ssh that went to the background to forward a port."""
    for process in leaks.processes(os.environ[leaks.MARK]):
        pid = int(process.partition("@")[0])
        command = leaks.read_proc(pid, "cmdline").split(b"\0")  # others may end just now
        if b"-L" in command and any(part.startswith(b"%d:" % port) for part in command):
            return pid
    raise AssertionError(f"no ssh forwards port {port}")


def start_tunnel(line: str, port: int) -> int:
    """Run the line of an ssh that goes to the background to forward a port; return its process id."""
    command = [*line.split(), "-o", "ExitOnForwardFailure=yes"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    return find_tunnel(port)


def end_tunnels(pids: list[int]) -> None:
    """End what `start_tunnel` has started."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids))
