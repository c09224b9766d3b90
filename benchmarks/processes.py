"""Fresh processes for each measurement, and the standalone server as a user starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from baseline import BulkPeer, Peer, listener, local_server, started_listener

from easycluster import Client, ThreadedClient, define_common, read_key_file, server

P = ParamSpec("P")
T = TypeVar("T")

COMMAND = str(Path(sys.executable).parent / "easycluster")

DEFINITIONS = """
def noop():
    pass

def echo(value):
    return value

class Thing(ServerObject):
    def noop(self):
        pass
"""


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``function`` returns in the main thread of a new interpreter."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def pin_to_one_cpu() -> None:
    """Keep this process, and all that it starts from now on, on one CPU."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def standalone_server(*options: str) -> Iterator[tuple[bytes, int]]:
    """Run ``easycluster -S`` with further options; yield its key and its port."""
    with tempfile.TemporaryDirectory() as folder:
        key_file = os.path.join(folder, "key")
        subprocess.run([COMMAND, "-g", key_file], check=True, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(
            [COMMAND, "-S", "-k", key_file, "-b", "127.0.0.1", "-p", "0", "-c", "QuietServer", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                announced = process.stdout.readline()
                port = re.search(r":(\d+)$", announced.strip())
                if port is None:
                    raise RuntimeError(f"the server did not start; it said {announced!r}")
                yield read_key_file(key_file), int(port[1])
            finally:
                process.terminate()


@contextmanager
def contestants(transport: str, bulk: bool = False, copy: bool = True) -> Iterator[tuple[Client, Peer]]:
    """Start both servers; yield the connections to EasyCluster's and to the baseline's.

    Args:
        transport: ``"tcp"``, with a key, or ``"local"``, without.
        bulk: whether the baseline sends large buffers beside the pickle.
        copy: whether the baseline's TCP server is forked from this process. Then both its ends have
            their code at the same addresses, which no two programs that are started have. Else it is
            an interpreter of its own, as EasyCluster's servers are.
    """
    define_common(DEFINITIONS)
    kind = BulkPeer if bulk else Peer
    if transport == "local":
        # The baseline forks, so it comes first: this process has one thread now.
        with local_server(kind) as peer, server.spawn_local() as client:
            yield client, peer
        return
    key = os.urandom(32)
    with (
        listener(key, kind) if copy else started_listener(key) as connect_baseline,
        closing(connect_baseline()) as peer,
        standalone_server() as (key_of_server, port),
        Client(key_of_server, "127.0.0.1", port) as client,
    ):
        yield client, peer


@contextmanager
def threaded_and_plain() -> Iterator[tuple[ThreadedClient, Client]]:
    """Start a standalone server; yield a client of each kind that is connected to it."""
    define_common(DEFINITIONS)
    with (
        standalone_server() as (key, port),
        ThreadedClient(key, "127.0.0.1", port) as threaded,
        Client(key, "127.0.0.1", port) as plain,
    ):
        yield threaded, plain
