"""Connecting: how long it takes from nothing to the first result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

from baseline import connect_local, listener
from processes import DEFINITIONS, standalone_server
from report import Set, alternate

from easycluster import Client, define_common, server

#: The interpreter itself: what lies on PATH may be a script that looks for it first.
PYTHON = os.path.realpath(sys.executable)


def measure_first_local() -> Set:
    """Measure the first local server of a process beside a Python that starts and ends."""
    define_common(DEFINITIONS)
    return [(_local(), run([PYTHON, "-c", "pass"]))]


def measure_local(rounds: int) -> Set:
    """Measure further local servers beside a fork with a socket pair."""
    define_common(DEFINITIONS)
    return alternate(rounds, _local, _local_baseline)


def measure_tcp(rounds: int) -> Set:
    """Measure connections to a standalone server beside connections to one that forks for each."""
    define_common(DEFINITIONS)
    with listener(os.urandom(32)) as connect_baseline, standalone_server() as (key, port):

        def baseline() -> float:
            begin = perf_counter()
            peer = connect_baseline()
            peer.call("noop")
            seconds = perf_counter() - begin
            peer.close()
            return seconds

        return alternate(
            rounds, partial(seconds_until_answer, partial(Client, key, "127.0.0.1", port)), baseline
        )


def seconds_until_answer(connect: Callable[[], Client]) -> float:
    """Return how long it takes to connect and make a call."""
    begin = perf_counter()
    with connect() as client:
        client.call("noop")
        return perf_counter() - begin


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


def run(command: list[str]) -> float:
    """Run a command; return how long that took."""
    begin = perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    return perf_counter() - begin
