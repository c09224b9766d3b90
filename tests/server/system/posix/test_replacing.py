"""Putting other code in the place of a process: what it finds, on this system."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

#: Replaces itself by a Python that says what it finds.
REPLACING = """
import os, socket, sys
from easycluster_server._system.posix import replacing
if sys.argv[1] == "without memfd":
    def memfd_create(name):
        raise OSError(name)
    replacing.memfd_create = memfd_create
os.set_inheritable(2, True)
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]  # the numbers are taken
connection = socket.socket(fileno=int(sys.argv[2]))
replacing.replace_process(%r, b"bundle", b"session", connection.fileno())
"""

LINE = """
import json, os, sys
found = {str(number): os.read(number, 100).decode() for number in (0, 1, 4)}
print(json.dumps(dict(
    found, argv=sys.argv, variables=sorted(os.environ), open=[each for each in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + each)],
)), file=os.fdopen(3, "w"))
"""


@pytest.mark.parametrize("way", ["memfd", "without memfd"])
def test_what_the_new_process_finds(way: str) -> None:
    """The bundle on its input, the connection, output and session where they always are; nothing else, nothing secret."""
    ours, theirs = socket.socketpair()
    ours.sendall(b"connection")
    with ours, theirs:
        result = subprocess.run(
            [sys.executable, "-c", REPLACING % LINE, way, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            check=True,
            env=dict(os.environ),
        )
        given = str(theirs.fileno())
    found = json.loads(result.stdout)

    assert [found[number] for number in "014"] == ["bundle", "connection", "session"]
    assert found["argv"] == ["-c"]
    assert set(found["variables"]) <= {*os.environ, "LC_CTYPE"}
    assert set(found["open"]) - {given} <= set("01234")


TAKING_OVER = """
import os, sys
from easycluster_server._system.replacing import take_over_session
connection, session, tell = take_over_session()
print("printed", flush=True)
connection.sendall(os.read(session, 100) + b"|" + os.read(0, 100) + b"|")
tell("status 3")
"""


def test_the_new_process_gets_common_descriptors() -> None:
    """Output goes where that of the server goes, input is empty, and the connection is out of the way."""
    reading, writing = os.pipe()
    os.write(writing, b"session")
    os.close(writing)
    ours, theirs = socket.socketpair()
    printed_reading, printed_writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            high = [os.dup(theirs.fileno()), os.dup(printed_writing), os.dup(reading)]
            high = [os.dup2(each, 50 + number) for number, each in enumerate(high)]
            for source, descriptor in zip(high, (1, 3, 4), strict=True):
                os.dup2(source, descriptor)
            os.execv(sys.executable, [sys.executable, "-c", TAKING_OVER])
        finally:
            os._exit(1)
    for descriptor in (printed_writing, reading):
        os.close(descriptor)
    theirs.close()
    with ours, os.fdopen(printed_reading, "rb") as printed:
        said = b"".join(iter(lambda: ours.recv(4096), b""))
        assert os.waitpid(process, 0)[1] == 0

        assert printed.read() == b"printed\n"
    assert said == b"session||\nENDED: status 3\n"
