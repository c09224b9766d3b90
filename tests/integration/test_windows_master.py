"""A master on Windows, under wine, with a server on this system: TCP, both kinds of clients, asyncio, Ctrl-C."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers import wine
from helpers.servers import Server

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.usefixtures("windows"),
    pytest.mark.xdist_group("wine"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

#: Runs on Windows. Its arguments are the kind of client and a spec.
BEGIN = """
import asyncio, signal, sys, threading
import easycluster
from easycluster import *
kind, spec = getattr(easycluster, sys.argv[1]), sys.argv[2]
"""

STORIES = {
    "calls": """
with kind.from_spec(spec) as client:
    print(client.eval("6 * 7"), client.sys.platform.value, len(client.bytes(10_000_000)))
    try:
        client.eval("1 / 0")
    except ZeroDivisionError:
        print("ZeroDivisionError")
    with client.open("/etc/hostname") as file:
        print(len(file.read()) > 0)
""",
    "several": """
from easycluster.parallel import connect_all
specs = [spec, spec.replace("127.0.0.1", "localhost")]
with connect_all(specs, clientclass=kind) as clients:
    asked = [client.eval("6 * 7", nonblocking=True) for client in clients.values()]
    print([each.wait() for each in easycluster.as_completed(asked)])
""",
    "asyncio": """
async def ask(client):
    print(type(asyncio.get_running_loop()).__name__)
    sleeping = client.eval("__import__('time').sleep(0.3)", nonblocking=True)
    other = client.eval("6 * 7", nonblocking=True, threadid=1)
    print(await asyncio.gather(sleeping, other))
with kind.from_spec(spec) as client:
    asyncio.run(ask(client))
""",
    "ctrl_c": """
with kind.from_spec(spec) as client:
    client.eval("None")
    threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,)).start()
    try:
        client.time.sleep(2)
    except KeyboardInterrupt:
        print("interrupted")
    print(client.eval("6 * 7"))
""",
}

EXPECTED = {
    "calls": ["42 linux 10000000", "ZeroDivisionError", "True"],
    "several": ["[42, 42]"],
    "asyncio": ["ProactorEventLoop", "[None, 42]"],
    "ctrl_c": ["interrupted", "42"],
}


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
@pytest.mark.parametrize("story", STORIES)
def test_master_on_windows(tcp_server: Server, key_file: Path, tmp_path: Path, kind: str, story: str) -> None:
    """What works elsewhere works there, with a key file whose path has a drive letter and a space."""
    folder = tmp_path / "with a space"
    folder.mkdir()
    copy = Path(shutil.copy(key_file, folder / "copy.key"))
    spec = f"127.0.0.1:{tcp_server.port}:kf={wine.windows_path(copy)}"
    python = wine.WindowsPython(wine.USUAL)
    printed = wine.run(python.python("-c", BEGIN + STORIES[story], kind, spec))
    assert printed.split("\n")[-len(EXPECTED[story]) - 1 : -1] == EXPECTED[story], printed
