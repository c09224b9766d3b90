"""Masters that fork: the child has none of the parent's connections, and says so; the parent notices nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.masters import Master, way_to_server

TLS_TOO = True

SCRIPT = """
import asyncio, concurrent.futures
from easycluster import *

define_common('''
import threading
class Thing(ServerObject):
    def name(self):
        return "thing"
''')
client = connect(KIND)
thing = client.Thing()
arrived = client.eval("Thing()", nonblocking=True)
arrived_too = client.eval("6 * 7", nonblocking=True)
while not arrived_too.done(): pass
os.mkfifo(PIPE)
response = client.eval("open(PIPE).read() and 6 * 7", nonblocking=True)  # is answered when the child has ended
called = []
client.eval("6 * 7", oncomplete=called.append)

async def awaited():
    return await response

USES = {
    "call": lambda: client.eval("1"),
    "nonblocking call": lambda: client.eval("1", nonblocking=True),
    "call with oncomplete": lambda: client.eval("1", oncomplete=print),
    "call with a limit": lambda: easycluster.options(client, timeout=5).eval("1"),
    "call in a thread": lambda: client.eval("1", threadid=5),
    "method": thing.name,
    "wait": response.wait,
    "wait with a limit": lambda: response.wait(timeout=5),
    "result": response.result,
    "await": lambda: asyncio.run(awaited()),
    "easycluster.wait": lambda: easycluster.wait([response]).done.pop().result(),
    "easycluster.as_completed": lambda: next(easycluster.as_completed([response])).result(),
    "fileno": client.fileno,
    "fileno of a response": response.fileno,
    "stop_remote_thread": lambda: client.stop_remote_thread(5),
    "wait_ready": client.wait_ready,
    "call_multi": lambda: call_multi([client], "abs", 1),
}
if KIND is Client:
    USES["read_response"] = client.read_response
else:
    USES["concurrent.futures"] = lambda: concurrent.futures.wait([response]).done.pop().result()

def say_what_happens():
    for name, use in USES.items():
        try:
            say(name=name, value=repr(use()))
        except easycluster.ConnectionLost as error:
            say(name=name, fine="belongs to the process" in str(error))
    say(name="done", fine=response.done() and not client.connected)
    say(name="group", fine=ClientGroup([client]).read_responses() == 0)
    say(name="arrived before", fine=(arrived_too.wait(), repr(arrived.wait())[:12]) == (42, "<RemoteProxy"))
    say(name="close", fine=client.close() is None)
    if client.remote_host:
        client.reconnect()
        say(name="reconnect", fine=client.eval("6 * 7") == 42 and client.Thing().name() == "thing")
        client.close()
    with connect(KIND) as other:
        say(name="another", fine=other.eval("6 * 7") == 42)

# A thread that is not in the child has what it can have.
holding, over = threading.Event(), threading.Event()
def hold():
    with client._easycluster_calls._definitions_lock, client._easycluster_calls.session.references._lock:
        holding.set()
        over.wait()
holder = threading.Thread(target=hold)
holder.start()
holding.wait()

child = os.fork()
if child == 0:
    status = 1
    try:
        say_what_happens()
        status = 0
    finally:
        if status:
            import traceback
            traceback.print_exc()
        os._exit(status)
say(name="status", fine=os.waitpid(child, 0)[1] == 0)
with open(PIPE, "w") as pipe:
    pipe.write("go on")
over.set()
holder.join()
say(name="of the parent", fine=(response.wait(), client.eval("6 * 7"), thing.name()) == (42, 42, "thing"))
threads = [threading.Thread(target=client.eval, args=("1",)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if KIND is Client:
    client.read_response(False)
while not called: pass
client.close()
say(name="end", fine=True)
"""


@pytest.mark.parametrize("kind", ["Client", "ThreadedClient"])
def test_fork(request: pytest.FixtureRequest, transport: Any, tmp_path: Path, kind: str) -> None:
    """Whatever a child does with its parent's client ends at once with a clear error; it may connect anew."""
    how = way_to_server(request, transport.name, transport.server)
    python = ("-W", "ignore::DeprecationWarning")  # Python 3.12 warns of forks beside threads
    heard: list[dict[str, Any]] = []
    script = SCRIPT.replace("KIND", kind).replace("PIPE", repr(str(tmp_path / "pipe")))
    with Master(how, script, tmp_path, python) as master:
        while not heard or heard[-1]["name"] != "end":
            heard.append(master.hear())

        assert master.wait() == 0
    assert master.errors == ""
    assert [each for each in heard if not each.get("fine")] == []
    assert len(heard) == (26 if transport.name == "local" else 27)
