"""The dead-man helper: what ends with a master that is killed, and what does not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easycluster_client._ssh.dead_man import DeadMan
from easycluster_server._system.posix.proc import Process, find_descendants, read_processes
from easycluster_server._system.programs import identify_child
from helpers.masters import Master, all_below, end, identify, wait_until_gone
from helpers.waiting import wait_until

pytestmark = pytest.mark.integration

PREAMBLE = """
import subprocess
from easycluster_client._ssh import dead_man as module
from easycluster_client._ssh.dead_man import dead_man
from easycluster_server._system.posix import proc

def start(*command):
    process = subprocess.Popen(command)
    dead_man.add(process.pid)
    return process.pid
"""

Run = Callable[..., Master]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts the one master of a test."""
    masters: list[Master] = []

    def run(script: str) -> Master:
        masters.append(Master({"name": "none"}, PREAMBLE + script, tmp_path, ("-W", "ignore")))
        return masters[-1]

    yield run
    for master in masters:
        with master:
            pass


def heard(master: Master) -> list[Process]:
    """The processes that the master names."""
    return identify(*master.hear()["pids"])


def test_master_is_killed(run: Run) -> None:
    """Children that were noted end with the master, and the helper; others stay."""
    master = run("say(pids=[start('sleep', '600'), subprocess.Popen(['sleep', '600']).pid])\nhear()")
    noted, other = heard(master)
    processes = [each for each in all_below(master.pid) if each.pid != other.pid]
    master.kill()

    wait_until_gone([noted, *processes])
    end(other)


def test_forgotten(run: Run) -> None:
    """A child that is noted no more stays."""
    master = run("""
pids = [start('sleep', '600'), start('sleep', '600')]
dead_man.discard(pids[0])
say(pids=pids)
hear()
""")
    forgotten, noted = heard(master)
    master.kill()

    wait_until_gone([noted])
    end(forgotten)


@pytest.mark.parametrize("trap", [":", "trap '' TERM"], ids=["asked", "deaf"])
def test_what_a_child_has_started(run: Run, tmp_path: Path, trap: str) -> None:
    """What a child has started ends with it, in sessions of its own too, and although it does not go when asked."""
    script = f"{trap}; setsid sh -c 'sleep 600; :' & echo >{tmp_path}/ready; while :; do sleep 600; done"
    master = run(f"say(pids=[start('sh', '-c', {script!r})])\nhear()")
    (shell,) = heard(master)
    wait_until((tmp_path / "ready").exists)
    below = wait_until(lambda: len(found := find_descendants(shell.pid, read_processes())) == 3 and found)
    assert isinstance(below, list)
    master.kill()

    wait_until_gone([shell, *below])


def test_id_of_another_process(run: Run) -> None:
    """A process that only has the id of one that was noted is left alone, and so is what it has started."""
    master = run("""
identify_child = module.identify_child
module.identify_child = lambda pid: identify_child(pid) - 1  # another process had this id before
other = start('sh', '-c', 'sleep 600; :')
module.identify_child = identify_child
say(pids=[other, start('sleep', '600')])
hear()
""")
    other, noted = heard(master)
    (child,) = wait_until(lambda: find_descendants(other.pid, read_processes()))
    master.kill()

    wait_until_gone([noted])
    end(child)
    wait_until_gone([other])


def test_without_proc(run: Run) -> None:
    """Where no /proc shows the children their ids are all that is known, and they end as well."""
    master = run("""
proc.has_own_proc = lambda: False
say(pids=[start('sleep', '600')])
hear()
""")
    processes = heard(master)
    master.kill()

    wait_until_gone(processes)


FORKING = """
child = start('sleep', '600')
reading, writing = os.pipe()
forked = os.fork()
if forked == 0:
    own = start('sleep', '600')
    os.write(writing, str(own).encode())
    while True:
        signal.pause()
say(pids=[child, forked, int(os.read(reading, 100))])
hear()
"""


@pytest.mark.parametrize("first", ["the master", "the fork"])
def test_forked_process(run: Run, first: str) -> None:
    """A process that was forked from the master has a helper of its own: each ends its own children only."""
    master = run(FORKING)
    child, forked, own = heard(master)
    if first == "the master":
        master.kill()
        wait_until_gone([child])
        end(forked)
        wait_until_gone([own])
    else:
        end(forked)
        wait_until_gone([own])
        assert identify(child.pid)[0].started == child.started
        master.kill()
        wait_until_gone([child])


def test_forked_process_that_stays(run: Run) -> None:
    """The children end with the master although a process that was forked from it lives on."""
    master = run("""
child = start('sleep', '600')
forked = os.fork()
while forked == 0:
    signal.pause()
say(pids=[child, forked])
hear()
""")
    child, forked = heard(master)
    master.kill()

    wait_until_gone([child])
    end(forked)


def test_forked_process_forgets(run: Run) -> None:
    """A process that was forked from the master cannot take the children of the master from the list."""
    master = run("""
child = start('sleep', '600')
if os.fork() == 0:
    dead_man.discard(child)
    os._exit(0)
os.wait()
say(pids=[child])
hear()
""")
    processes = heard(master)
    master.kill()

    wait_until_gone(processes)


def test_process_that_is_no_child() -> None:
    """Who has been waited for, or never was a child, is not noted; there is no helper for nobody."""
    dead_man = DeadMan()
    with subprocess.Popen(["true"]) as ended:
        pass
    for pid in (ended.pid, os.getppid(), 1):
        dead_man.add(pid)
        assert identify_child(pid) is None

    assert dead_man._helper is None


def test_helper_ends_with_the_last_child() -> None:
    """The helper is there as long as there are children."""
    dead_man = DeadMan()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as one:
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as two:
            dead_man.add(one.pid)
            dead_man.add(two.pid)
            helper = dead_man._helper
            assert helper is not None
            dead_man.discard(two.pid)
            assert helper.poll() is None
        dead_man.discard(one.pid)

        assert helper.returncode == 0
        dead_man.discard(one.pid)
