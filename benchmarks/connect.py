"""Connecting: how long it takes from nothing to the first result."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from baseline import connect_local, listener
from processes import DEFINITIONS, standalone_server
from report import Set, alternate

from easycluster import Client, define_common, server

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers.sshd import Sshd

#: The interpreter itself: what lies on PATH may be a script that looks for it first.
_PYTHON = os.path.realpath(sys.executable)


def measure_first_local() -> Set:
    """Measure the first local server of a process beside a Python that starts and ends."""
    define_common(DEFINITIONS)
    return [(_local(), _run([_PYTHON, "-c", "pass"]))]


def measure_local(rounds: int) -> Set:
    """Measure further local servers beside a fork with a socket pair."""
    define_common(DEFINITIONS)
    return alternate(rounds, _local, _local_baseline)


def measure_tcp(rounds: int) -> Set:
    """Measure connections to a standalone server beside connections to one that forks for each."""
    define_common(DEFINITIONS)
    with listener(os.urandom(32)) as connect_baseline, standalone_server() as (key, port):

        def ours() -> float:
            begin = perf_counter()
            with Client(key, "127.0.0.1", port) as client:
                client.noop()
                return perf_counter() - begin

        def baseline() -> float:
            begin = perf_counter()
            peer = connect_baseline()
            peer.call("noop")
            seconds = perf_counter() - begin
            peer.close()
            return seconds

        return alternate(rounds, ours, baseline)


def measure_ssh(rounds: int) -> Set:
    """Measure connections over SSH beside ``ssh host python -c pass``, to an sshd of our own.

    The host needs nothing but that Python: what EasyCluster needs there travels each time.
    """
    define_common(DEFINITIONS)
    with _sshd() as options:

        def ours() -> float:
            begin = perf_counter()
            with Client(host="benchmark", ssh=True, rpython=_PYTHON, extra_args=options) as client:
                client.noop()
                return perf_counter() - begin

        return alternate(rounds, ours, lambda: _run(["ssh", *options, "benchmark", _PYTHON, "-c", "pass"]))


def missing_for_ssh() -> str:
    """Return why no sshd can be started here; empty when it can."""
    if shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
        return "there is no sshd (Debian: openssh-server)"
    if shutil.which("ssh") is None:
        return "there is no ssh (Debian: openssh-client)"
    if os.geteuid() != 0 and not os.path.isdir("/run/sshd"):
        return "there is no /run/sshd, which only root can make"
    return ""


def _local() -> float:
    begin = perf_counter()
    with server.spawn_local() as client:
        client.noop()
        return perf_counter() - begin


def _local_baseline() -> float:
    begin = perf_counter()
    peer, pid = connect_local()
    peer.call("noop")
    seconds = perf_counter() - begin
    peer.close()
    os.waitpid(pid, 0)
    return seconds


def _run(command: list[str]) -> float:
    begin = perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    return perf_counter() - begin


@contextmanager
def _sshd() -> Iterator[list[str]]:
    """Run an sshd on the loopback; yield the options with which ssh reaches it."""
    with tempfile.TemporaryDirectory() as folder:
        sshd = Sshd(Path(folder))
        try:
            yield sshd.options
        finally:
            sshd.stop()
