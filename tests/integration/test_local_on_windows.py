"""`spawn_local` on Windows, under wine, the command there, and functions that go by value from there."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import wine
from helpers.leaks import read_proc
from helpers.pythons import find_pythons
from helpers.servers import Server
from helpers.tls_masters import SOURCES
from helpers.waiting import wait_until

pytestmark = [
    pytest.mark.needs_wine,
    pytest.mark.usefixtures("windows"),
    # The first test that needs a Windows Python installs the packages there.
    pytest.mark.timeout(400),
]

#: Runs on Windows. Its arguments are the kind of client and further ones.
BEGIN = """
import asyncio, os, signal, subprocess, sys, threading
import easycluster
from easycluster import *
from easycluster.server import spawn_local
kind, arguments = getattr(easycluster, sys.argv[1]), sys.argv[2:]
define_common('''
import os, subprocess, sys, threading

def count(end):
    yield from range(end)

def start_child():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=subprocess.DEVNULL).pid

class Board(ServerObject):
    def __init__(self):
        self.value = 0
    def add(self, value):
        self.value += value
        return self.value
''')
"""

STORIES = {
    "calls": """
with spawn_local(kind) as client:
    print(client.sys.platform.value, client.os.getpid() != os.getpid(), len(client.bytes(10_000_000)))
    data = bytes(range(256)) * 20_000
    print(client.bytes(data) == data)
    try:
        client.eval("1 / 0", origexc="quiet")
    except ZeroDivisionError:
        print("ZeroDivisionError")
    board = client.Board()
    print(board.add(2), board.add(3), list(client.count(4)))
    print(client.eval("threading.current_thread() is threading.main_thread()", threadid=5))
    with client.open(arguments[0], "w") as file:
        file.write("written")
    print(open(arguments[0]).read())
""",
    "by value": """
import numpy
with spawn_local(kind) as client:
    factor = 3
    print(client.call(lambda value: value * factor, 14))
    print(client.numpy.sum(numpy.arange(100_000), dtype="int64"))
""",
    "several": """
clients = [spawn_local(kind) for _ in range(3)]
print(call_multi(clients, "eval", "6 * 7"))
responses = [client.eval("6 * 7", nonblocking=True) for client in clients]
done, pending = easycluster.wait(responses)
print(len(done), len(pending), [each.wait() for each in easycluster.as_completed(responses)])
answers = []
for client in clients:
    client.eval("2 + 2", oncomplete=answers.append)
ClientGroup(clients).read_responses()  # ThreadedClients may count some that they had read
print(answers)
for client in clients:
    client.close()
""",
    "asyncio": """
async def ask(client):
    print(await asyncio.gather(client.eval("6 * 7", nonblocking=True), client.eval("2", nonblocking=True, threadid=1)))
with spawn_local(kind) as client:
    asyncio.run(ask(client))
""",
    "output": """
with spawn_local(kind) as client:
    client.eval("print('printed there', flush=True)")
    client.subprocess.check_call([sys.executable, "-c", "print('printed by a child')"])
print("end")
""",
    "ctrl_c": """
with spawn_local(kind) as client:
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
    "calls": ["win32 True 10000000", "True", "ZeroDivisionError", "2 5 [0, 1, 2, 3]", "False", "written"],
    "by value": ["42", "4999950000"],
    "several": ["[42, 42, 42]", "3 0 [42, 42, 42]", "[4, 4, 4]"],
    "asyncio": ["[42, 2]"],
    "output": ["printed there", "printed by a child", "end"],
    "ctrl_c": ["interrupted", "42"],
}


#: Runs on Windows, until it is ended: a call lasts, and a child of the server.
UNENDING = """
with spawn_local(kind) as client:
    client.start_child()
    client.execblock(f"import time; open({arguments[0]!r}, 'w').close(); time.sleep(600)")
"""

BY_VALUE = """
with kind.from_spec(arguments[0]) as client:
    factor = 3
    print(client.call(lambda value: value * factor, 14), client.sys.platform.value)
"""


def run(script: str, kind: str, *arguments: object) -> list[str]:
    """Run a script on Windows; return the lines that it printed."""
    command = wine.WindowsPython(wine.USUAL).python("-u", "-c", BEGIN + script, kind, *arguments)
    return wine.run(command).splitlines()


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
def test_spawn_local(tmp_path: Path, kind: str) -> None:
    """What works elsewhere works there, with one server after the other in the same process."""
    printed = run("".join(STORIES.values()), kind, wine.windows_path(tmp_path / "a file"))
    assert printed == [line for story in STORIES for line in EXPECTED[story]]


def test_killed_master(tmp_path: Path) -> None:
    """When the master is killed everything ends: the server in its call, its child, and the spare interpreter."""
    begun = tmp_path / "begun"
    token = f"EASYCLUSTER_TEST_LOCAL={uuid.uuid4()}"

    def list_processes() -> list[int]:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if token.encode() in read_proc(pid, "environ")]

    command = wine.WindowsPython(wine.USUAL).python(
        "-c", BEGIN + UNENDING, "Client", wine.windows_path(begun)
    )
    variables = wine.environment(**dict([token.split("=")]))
    # Programs of wine can use only pipes.
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as master:
        wait_until(begun.exists)
        assert len(list_processes()) > 3
        master.kill()
    wait_until(lambda: not list_processes(), what="the end of everything")


def test_command(tmp_path: Path, key_file: Path) -> None:
    """The command makes a key file once, in a folder with a space in its name, and knows its version."""
    python = wine.WindowsPython(wine.USUAL)
    folder = tmp_path / "with a space"
    folder.mkdir()
    path = wine.windows_path(folder / "made.key")
    wine.run(python.easycluster("-g", path))
    made = (folder / "made.key").read_bytes()
    assert len(made) == len(key_file.read_bytes())
    with pytest.raises(AssertionError, match="exists"):
        wine.run(python.easycluster("-g", path))
    assert (folder / "made.key").read_bytes() == made
    assert wine.run(python.easycluster("--version")).startswith("easycluster 1.")


@pytest.mark.needs_pythons(f"python{wine.USUAL}")
def test_by_value(start_server: Callable[..., Server], key_file: Path) -> None:
    """Functions go by value from Windows to a server of another system with the same Python."""
    command = (find_pythons()[wine.USUAL], "-m", "easycluster")
    server = start_server(command=command, env={"PYTHONPATH": SOURCES})
    spec = f"127.0.0.1:{server.port}:kf={wine.windows_path(key_file)}"
    assert run(BY_VALUE, "Client", spec) == ["42 linux"]
