"""Long use of one connection leaves nothing: 100,000 calls, 10,000 proxies, 1,000 threads, and all stays flat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.masters import Master, way_to_server

ROUNDS = 10

#: After these rounds what is made once has been made: caches, arenas of malloc, the first threads.
WARM_UP = 2

#: By how much the memory of a process may grow in all rounds after these, in KiB.
LEEWAY = 1024

SCRIPT = """
import gc, time
from easycluster import SINGLE
from easycluster import *

define_common(\'\'\'
import gc, os, threading

class Thing(ServerObject):
    def __init__(self, number):
        self.number = number
    def twice(self):
        return 2 * self.number

def add(a, b):
    return a + b

def make(numbers):
    return [Thing(number) for number in numbers]

def add_up(things):
    return sum(thing.number for thing in things)

def divide(a, b):
    return a / b

def state():
    gc.collect()
    return len(gc.get_objects()), threading.active_count()
\'\'\')

client = connect(HOW_KIND)
seen = []

def count(pid):
    memory = int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return memory, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))

def calls():
    for number in range(2000):
        assert client.add(number, 1) == number + 1
    for start in range(0, 7000, 100):
        responses = [client.add(start, number, nonblocking=True) for number in range(100)]
        assert [response.wait() for response in responses] == list(range(start, start + 100))
    for number in range(500):
        try:
            client.divide(number, 0, origexc="quiet")
        except ZeroDivisionError:
            pass
    for number in range(400):
        client.add(number, 0, oncomplete=seen.append)
    ClientGroup([client]).read_responses()
    assert sorted(seen) == list(range(400))
    seen.clear()
    data = bytes(200_000)
    for _ in range(100):
        assert client.add(data, b"") == data

def proxies():
    for start in range(0, 1000, 100):
        things = client.make(range(100))
        assert things[7].twice() == 14
        assert client.add_up(things) == 4950

def work(number):
    assert client.add(number, 1) == number + 1

def threads():
    for start in range(0, 60, 20):
        running = [threading.Thread(target=work, args=(start + number,)) for number in range(20)]
        for thread in running: thread.start()
        for thread in running: thread.join()
    for number in range(1, 21):
        assert client.add(number, 1, threadid=number) == number + 1
        client.stop_remote_thread(number)
    responses = [client.add(number, 1, threadid=SINGLE, nonblocking=True) for number in range(20)]
    assert [response.wait() for response in responses] == list(range(1, 21))

def settle():
    # Threads end and releases arrive a little after what they follow from.
    gc.collect()
    deadline = time.monotonic() + 20
    client.add(0, 0)
    while client.state()[1] > 2 and time.monotonic() < deadline:
        time.sleep(0.01)

worker = client.os.getpid()
for number in range(HOW["rounds"]):
    calls(), proxies(), threads()
    settle()
    say(master=count(os.getpid()), worker=count(worker), objects=(len(gc.get_objects()), client.state()[0]))
say(done=True)
client.close()
"""


@pytest.mark.parametrize(
    ("transport", "kind"), [("local", "ThreadedClient"), ("tcp", "Client")], indirect=["transport"]
)
def test_soak(request: pytest.FixtureRequest, transport: Any, tmp_path: Path, kind: str) -> None:
    """Memory, descriptors, threads and objects of both processes are the same at the end as after the warm-up."""
    how = {**way_to_server(request, transport.name, transport.server), "rounds": ROUNDS}
    with Master(how, SCRIPT.replace("HOW_KIND", kind), tmp_path) as master:
        rounds = [master.hear() for _ in range(ROUNDS)]

        assert master.hear() == {"done": True}
        assert master.wait() == 0
    before, after = rounds[WARM_UP - 1], rounds[-1]
    for process in ("master", "worker"):
        memory, *counts = after[process]
        assert memory - before[process][0] < LEEWAY, [each[process][0] for each in rounds]
        assert counts == before[process][1:]
    assert after["objects"][0] - before["objects"][0] < 50
    assert after["objects"][1] - before["objects"][1] < 50
