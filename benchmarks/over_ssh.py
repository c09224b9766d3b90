"""Over SSH, to an sshd of our own on the loopback: what is sent, how long connecting takes, and large data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import IO, Any

import numpy as np
from connect import PYTHON, run
from processes import DEFINITIONS
from report import Set, alternate

from easycluster import Client, define_common

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers.sshd import Sshd

_BYTES = 64 << 20

#: What may be sent before the first call, in bytes.
_SENT_LIMIT = 20_000

#: Stands in for ssh: runs the command here, and notes what goes there. It ends with that command.
_NOTING = """#!/bin/sh
for command; do :; done
tee "$EASYCLUSTER_SENT" | sh -c "$command"
"""


def missing() -> str:
    """Return why no sshd can be started here; empty when it can."""
    if shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
        return "there is no sshd (Debian: openssh-server)"
    if shutil.which("ssh") is None:
        return "there is no ssh (Debian: openssh-client)"
    if os.geteuid() != 0 and not os.path.isdir("/run/sshd"):
        return "there is no /run/sshd, which only root can make"
    return ""


def measure_sent(calls: bool) -> Set:
    """Count the bytes that go through ssh, beside how many there may be before the first call.

    Args:
        calls: whether to count up to the first result, which is more than the limit speaks of.
    """
    with tempfile.TemporaryDirectory() as folder:
        program, sent = Path(folder, "ssh"), Path(folder, "sent")
        program.write_text(_NOTING)
        program.chmod(0o700)
        os.environ["EASYCLUSTER_SENT"] = str(sent)
        with Client(host="benchmark", ssh=str(program), rpython=PYTHON) as client:
            if calls:
                client.eval("None")
            return [(float(sent.stat().st_size), float(_SENT_LIMIT))]


def measure_connect(rounds: int) -> Set:
    """Measure from nothing to the first result beside ``ssh host python -c pass``.

    The host needs nothing but that Python: what EasyCluster needs there travels each time.
    """
    define_common(DEFINITIONS)
    with _sshd() as options:

        def ours() -> float:
            begin = perf_counter()
            with _client(options, PYTHON) as client:
                client.noop()
                return perf_counter() - begin

        return alternate(rounds, ours, lambda: run(["ssh", *options, "benchmark", PYTHON, "-c", "pass"]))


#: A whole script: it connects, calls, and ends. Its arguments are those of ssh, and the Python of the host.
_SCRIPT = """
import sys
from easycluster import Client, define_common
define_common("def noop():\\n    pass")
*options, python = sys.argv[1:]
with Client(host="benchmark", ssh=True, rpython=python, extra_args=options) as client:
    client.noop()
"""

_SCRIPT_OF_SSH = """
import subprocess, sys
*options, python = sys.argv[1:]
subprocess.run(["ssh", *options, "benchmark", python, "-c", "pass"], stdin=subprocess.DEVNULL, check=True)
"""


def measure_script(rounds: int) -> Set:
    """Measure a script from its start to its end beside one that runs ``ssh host python -c pass``.

    It finds what Python and EasyCluster keep from one run to the next, as scripts do but for the first time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with _sshd() as options:

        def seconds(script: str) -> float:
            return run([sys.executable, "-c", script, *options, PYTHON])

        seconds(_SCRIPT)
        return alternate(rounds, lambda: seconds(_SCRIPT), lambda: seconds(_SCRIPT_OF_SSH))


def measure_bulk(rounds: int) -> Set:
    """Measure the echo of a large array beside ``cat`` on the host, each over one ssh that stays.

    The host's Python is the one that runs this, because it has NumPy.
    """
    define_common(DEFINITIONS)
    array = np.arange(_BYTES // 8, dtype=np.float64)
    with _sshd() as options, _client(options, sys.executable) as client, _cat(options) as (to_cat, from_cat):

        def ours() -> None:
            if client.echo(array)[-1] != array[-1]:
                raise RuntimeError("the echo is not what was sent")

        def baseline() -> None:
            target = memoryview(bytearray(_BYTES))
            writer = Thread(target=to_cat.write, args=(array.data,))
            writer.start()
            while target:
                target = target[from_cat.readinto(target) :]  # type: ignore[attr-defined]
            writer.join()

        return alternate(rounds, lambda: _seconds(ours), lambda: _seconds(baseline))


def _client(options: list[str], python: str) -> Client:
    return Client(host="benchmark", ssh=True, rpython=python, extra_args=options)


def _seconds(action: Callable[[], None]) -> float:
    begin = perf_counter()
    action()
    return perf_counter() - begin


@contextmanager
def _cat(options: list[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    command: list[Any] = ["ssh", *options, "benchmark", "cat"]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout


@contextmanager
def _sshd() -> Iterator[list[str]]:
    """Run an sshd on the loopback; yield the options with which ssh reaches it."""
    with tempfile.TemporaryDirectory() as folder:
        sshd = Sshd(Path(folder))
        try:
            yield sshd.options
        finally:
            sshd.stop()
