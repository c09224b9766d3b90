"""A script that waits for any child of its process, and so takes the ends of ours away."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from helpers.masters import Master, all_below, wait_until_gone, way_to_server

#: What the script does with all children that have ended, or will end.
REAP = {
    "wait": """
def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
""",
    "ignore": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def reap():
    pass
""",
    "handler": """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
""",
}

SCRIPT = """
before = connect()
assert before.eval("6 * 7") == 42
say(connected=True)
hear()  # the test ends what the connection needs
try:
    before.eval("6 * 7")
except easycluster.ConnectionLost:
    pass
reap()
after = connect()
reap()
say(result=after.eval("6 * 7"))
hear()
after.close()
reap()
before.close()
say(closed=True)
"""


@pytest.mark.parametrize("way", REAP)
def test_script_reaps_all_children(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, way: str
) -> None:
    """Connections that are lost or closed then cost no error, and the next one works; nothing is left."""
    how = way_to_server(request, transport.name, transport.server)
    with Master(how, REAP[way] + SCRIPT, tmp_path) as master:
        assert master.hear() == {"connected": True}
        children = all_below(master.pid)[1:]
        own = [child for child in children if child.parent == master.pid]  # ssh, its helper, the fork server
        for child in own:
            os.kill(child.pid, signal.SIGKILL)
        wait_until_gone(own)
        master.say()
        assert master.hear() == {"result": 42}
        children += all_below(master.pid)[1:]
        master.say()
        assert master.hear() == {"closed": True}
        assert master.wait() == 0
        wait_until_gone(children)
    assert "Traceback" not in master.errors
