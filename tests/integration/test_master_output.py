"""What a master prints decides over no call: its standard error may be closed, full, or read by nobody."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.children import start
from helpers.masters import PREAMBLE, way_to_server
from helpers.waiting import PATIENCE

SCRIPT = """
define_common('''
def fail():
    raise ValueError("no")

def chatter(lines):
    import os
    os.write(2, b"0123456789abcdef\\\\n" * lines)
    return lines
''')
host = connect()
if sys.argv[2] == "closed":
    sys.stderr.close()
elif sys.argv[2] == "failing":
    class Failing:
        def write(self, text): raise RuntimeError
        flush = write
    sys.stderr = Failing()
values = []
for _ in range(30):
    try:
        host.fail()
    except ValueError as error:
        values.append(str(error))
    values.append(host.chatter(100) if HOW["name"] == "ssh" else host.eval("100"))
host.close()
say(values=values)
os._exit(0)
"""


@pytest.mark.parametrize("how", ["closed", "failing", "/dev/full", "gone", "stopped"])
def test_standard_error_of_a_master(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, how: str
) -> None:
    """Calls return and raise as ever, and the output of hosts holds none of them up."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
    if how == "gone":
        os.close(reading)
    error = os.open(how, os.O_WRONLY) if how.startswith("/") else writing
    command = [
        sys.executable,
        "-c",
        PREAMBLE + SCRIPT,
        json.dumps(way_to_server(request, transport.name, transport.server)),
        how,
    ]
    process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=error)
    out, _ = process.communicate(timeout=PATIENCE * 2)
    for descriptor in {error, writing, reading} - ({reading} if how == "gone" else set()):
        os.close(descriptor)

    assert json.loads(out)["values"] == ["no", 100] * 30
    assert process.returncode == 0
