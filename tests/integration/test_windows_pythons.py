"""Servers on Windows with the oldest and the newest Python, and masters of the same Python: what other tests try with the
usual one."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster import SINGLE, Client
from helpers import wine
from helpers.exercises import DEFINITIONS, assert_works
from helpers.pythons import find_pythons
from helpers.waiting import PATIENCE, wait_until
from helpers.windows_server import WindowsServer

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.xdist_group("wine"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

MORE = """
import os

def count(number):
    yield from range(number)

def environment():
    found = {name for name in os.environ if name.upper().startswith(("EASYCLUSTER", "__PYVENV"))}
    return found - {"EASYCLUSTER_REQUIRE_ALL"}  # of who runs the tests
"""

#: A master that has the same Python as the server: functions and classes go by value.
MASTER = """
import sys
from easycluster import Client, read_key_file

class Shape:
    def __init__(self, sides):
        self.sides = sides
    def double(self):
        return 2 * self.sides

factor = 3
with Client(read_key_file(sys.argv[1]), "127.0.0.1", int(sys.argv[2])) as client:
    assert client.call(lambda value: factor * value, 14) == 42
    shape = client.call(lambda shape: Shape(shape.double()), Shape(4))
    assert type(shape) is Shape and shape.sides == 8
    made = client.eval("lambda value: value + 1")
    assert made(1) == 2
    assert sys.version_info[:2] == client.eval("__import__('sys').version_info[:2]"), "by value in both directions"
"""


@pytest.fixture(scope="module", params=[wine.OLDEST, wine.NEWEST])
def server(
    windows: None, key_file: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[WindowsServer]:
    """A server on Windows."""
    server = WindowsServer(tmp_path_factory.mktemp("with a space"), key_file, version=request.param)
    yield server
    server.stop()


@pytest.fixture
def connect(server: WindowsServer, key: bytes, no_definitions: None) -> Callable[[], Any]:
    """Connects to the server."""
    easycluster.define_common(DEFINITIONS)
    easycluster.define_common(MORE)
    return lambda: Client(key, "127.0.0.1", server.port)


def test_everything(server: WindowsServer, connect: Callable[[], Any], tmp_path: Path) -> None:
    """Calls, exceptions, data, threads, proxies, files, arrays and output work, and nothing is left."""
    path = tmp_path / "file"
    array = np.arange(1 << 16, dtype=float)
    with connect() as client:
        assert_works(client)
        assert list(client.count(3)) == [0, 1, 2]
        with client.open(str(path), "w") as file:
            print("text", file=file)
        assert path.read_text() == "text\n"
        first, second = (client.thread(threadid=SINGLE) for _ in range(2))
        assert first[0] is second[0] is False
        assert np.array_equal(client.eval("__import__('numpy').arange(65536.0)"), array)
        assert client.call("numpy.sum", array) == array.sum()
        assert client.environment() == {"EASYCLUSTER_TEST_WINDOWS_SERVER"}
        client.eval("print('said by a worker', flush=True)")
        wait_until(lambda: "said by a worker" in server.log)
    wait_until(lambda: len(server.list_workers()) == 1, what="the end of all but the spare")


@pytest.mark.needs_pythons(f"python{wine.USUAL}")
def test_same_python_at_both_ends(wine_server: WindowsServer, key_file: Path) -> None:
    """Between equal versions of Python functions and classes go by value, whatever the systems are."""
    cloudpickle = importlib.util.find_spec("cloudpickle")
    assert cloudpickle
    assert cloudpickle.origin
    folders = [folder for folder in sys.path if folder.endswith("/src")]
    folders.append(str(Path(cloudpickle.origin).parents[1]))
    code = f"import sys; sys.path += {folders!r}\n{MASTER}"
    master = subprocess.run(
        [find_pythons()[wine.USUAL], "-c", code, str(key_file), str(wine_server.port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert (master.returncode, master.stdout) == (0, "")
