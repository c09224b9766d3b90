"""Masters whose interpreter ends while clients are open: it ends at once, without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.masters import Master, way_to_server

SCRIPT = """
import atexit
from easycluster import *

define_common('''
import threading
def hang():
    threading.Event().wait()
def add(a, b):
    return a + b
''')
BEFORE
client = connect(KIND)
add, hang, main_thread = client.add, client.hang, threading.main_thread()
"""

#: How it ends, and what is said then.
ENDINGS = {
    "calls open": "hang(nonblocking=True); hang(onerror=print, threadid=2)",
    "daemon threads wait": """
for number in range(3):
    threading.Thread(target=hang, kwargs={"threadid": number}, daemon=True).start()
while len(client._easycluster_calls.session._calls.by_number) < 3: pass
""",
    "a thread goes on": """
def run():
    main_thread.join()
    say(value=add(1, 2))
threading.Thread(target=run).start()
""",
    "a thread connects": """
def run():
    main_thread.join()
    with connect(KIND) as other:
        say(value=other.add(1, 2))
threading.Thread(target=run).start()
""",
    "call in atexit": "atexit.register(lambda: say(value=add(1, 2)))",
    "call in atexit, calls open": "atexit.register(lambda: say(value=add(1, 2, threadid=1))); hang(nonblocking=True)",
    "call in atexit, registered before": "",
    "close in atexit": "atexit.register(client.close); hang(nonblocking=True)",
    "a call for each thread, at the end": """
def run():
    say(value=add(1, 2))
threading._register_atexit(run)
""",
    "completion functions under way": "for n in range(1000): add(1, 2, oncomplete=lambda value: None)",
    "large calls under way": "for n in range(3): add(bytes(10_000_000), b'', nonblocking=True)",
    "sys.exit": "hang(nonblocking=True); sys.exit(0)",
    "dropped": "hang(nonblocking=True); del client, add, hang",
    "kept in a circle": "hang(nonblocking=True); circle = [client]; circle.append(circle)",
    "closed": "hang(nonblocking=True); client.close()",
}


#: What comes before the connection is made.
BEFORE = {
    "call in atexit, registered before": "atexit.register(lambda: say(value=client.add(1, 2)))",
}


#: What is different where the connection is one of ssh, or to another host.
REMOTE = [
    "calls open",
    "daemon threads wait",
    "a thread goes on",
    "call in atexit, calls open",
    "call in atexit, registered before",
    "large calls under way",
]


def run(how: dict[str, Any], ending: str, kind: str, folder: Path) -> None:
    """Run a master to its end."""
    script = SCRIPT.replace("BEFORE", BEFORE.get(ending, "")) + ENDINGS[ending]
    with Master(how, script.replace("KIND", kind), folder) as master:
        heard: Any = master.hear()["value"] if "say(" in script else None

        assert master.wait() == 0
    assert master.errors == ""
    assert heard == (3 if "say(" in script else None)


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("transport", ["local"], indirect=True)
def test_local(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, ending: str, kind: str
) -> None:
    """Whatever is open, the interpreter ends at once, says nothing, and leaves nothing."""
    run(way_to_server(request, transport.name, transport.server), ending, kind, tmp_path)


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
@pytest.mark.parametrize("ending", REMOTE)
@pytest.mark.parametrize(
    "transport", ["tcp", pytest.param("ssh", marks=pytest.mark.needs_sshd)], indirect=True
)
def test_remote(
    request: pytest.FixtureRequest, transport: Any, tmp_path: Path, ending: str, kind: str
) -> None:
    """So it is over TCP and SSH."""
    run(way_to_server(request, transport.name, transport.server), ending, kind, tmp_path)
