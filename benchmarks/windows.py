"""A server on Windows, under wine, beside the same on Linux: connecting, and calls."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from processes import DEFINITIONS
from report import Set, alternate

from easycluster import Client, define_common, read_key_file

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from helpers import wine
from helpers.servers import Server, generate_key_file
from helpers.system_needs import missing_needs
from helpers.windows_server import WindowsServer

_CALLS = 1000

#: Seconds after which an interpreter that waits for the next connection has imported all that it will.
_SPARE_SECONDS = 3.0

Connect = Callable[[], Client]


def missing() -> str:
    """Return why there are no Windows programs here; empty when there are."""
    return ", ".join(missing_needs().get("needs_wine", ()))


@contextmanager
def _both() -> Iterator[tuple[Connect, Connect]]:
    """Start a server on Windows and one on Linux; yield functions that connect to them."""
    define_common(DEFINITIONS)
    with tempfile.TemporaryDirectory() as folder, wine.kept_alive():
        key_file = generate_key_file(Path(folder, "key"))
        key = read_key_file(key_file)
        folders = [Path(folder, name) for name in ("windows", "linux")]
        for each in folders:
            each.mkdir()
        windows, linux = WindowsServer(folders[0], key_file), Server(folders[1], "-k", key_file)
        try:
            yield (
                lambda: Client(key, "127.0.0.1", windows.port),
                lambda: Client(key, "127.0.0.1", linux.port),
            )
        finally:
            windows.stop()
            linux.stop()


def measure_connect(rounds: int, spare: bool) -> Set:
    """Measure from nothing to the first result.

    Args:
        rounds: how often each is measured.
        spare: whether an interpreter waits for the connection; else another connection has just taken it.
    """

    def seconds(connect: Connect) -> float:
        time.sleep(_SPARE_SECONDS)
        if not spare:
            connect().close()
        begin = perf_counter()
        with connect() as client:
            client.noop()
            return perf_counter() - begin

    with _both() as (windows, linux):
        return alternate(rounds, lambda: seconds(windows), lambda: seconds(linux))


def measure_call(rounds: int) -> Set:
    """Measure calls, one after the other, of a function that does nothing."""

    def seconds(client: Client) -> float:
        times: list[float] = []
        for _ in range(_CALLS):
            begin = perf_counter()
            client.noop()
            times.append(perf_counter() - begin)
        return median(times)

    with _both() as (windows, linux), windows() as far, linux() as near:
        return alternate(rounds, lambda: seconds(far), lambda: seconds(near))
