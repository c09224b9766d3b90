"""The script of the dead-man helper: which processes it ends, in a table of processes that the test makes."""

from __future__ import annotations

import io
import os
import runpy
import signal
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from easycluster_client._ssh import dead_man_helper

TERM, KILL = signal.SIGTERM, signal.SIGKILL


class Entry(NamedTuple):
    """A process in the table.

    Attributes:
        parent: the id of its parent.
        start: its start time.
        deaf: whether it stays after SIGTERM.
        state: its state, as in /proc.
        name: its name, as in /proc.
    """

    parent: int
    start: int
    deaf: bool = False
    state: str = "S"
    name: str = "sleep"


class System:
    """Stands for the modules `os` and `time`, and for opening files, on a system with these processes.

    Args:
        table: the processes by their ids.

    Attributes:
        table: those that are there now.
        signals: the signals that were sent.
        now: what its clock shows.
        has_proc: whether there is a /proc.
        on_sleep: called whenever some time has passed.
        vanishing: the processes that are listed, but have gone before they are looked at.
        sleeps: how long it slept each time.
    """

    def __init__(self, table: dict[int, Entry]) -> None:
        self.table = table
        self.signals: list[tuple[int, int]] = []
        self.now = 1000.0
        self.has_proc = True
        self.on_sleep: Callable[[], None] = lambda: None
        self.vanishing: set[int] = set()
        self.sleeps: list[float] = []

    def listdir(self, path: str) -> list[str]:
        assert path == "/proc"
        if not self.has_proc:
            raise FileNotFoundError(path)
        return ["self", "sys", *map(str, self.table), *map(str, self.vanishing), "uptime"]

    def open(self, path: str, mode: str) -> io.BytesIO:
        assert mode == "rb"
        _, proc, pid, stat = path.split("/")
        assert (proc, stat) == ("proc", "stat")
        if not self.has_proc or int(pid) not in self.table:
            raise FileNotFoundError(path)
        entry = self.table[int(pid)]
        zeros = " 0" * 17
        return io.BytesIO(
            f"{pid} ({entry.name}) {entry.state} {entry.parent}{zeros} {entry.start} 99 98\n".encode()
        )

    def kill(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))
        if self.has_proc and pid not in self.table:
            raise ProcessLookupError
        if number == KILL or not self.table[pid].deaf:
            del self.table[pid]

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep()


Run = Callable[..., System]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the script with arguments on a system."""

    def run(system: System, *arguments: str) -> System:
        monkeypatch.setattr(dead_man_helper, "os", SimpleNamespace(listdir=system.listdir, kill=system.kill))
        times = SimpleNamespace(monotonic=system.monotonic, sleep=system.sleep)
        monkeypatch.setattr(dead_man_helper, "time", times)
        monkeypatch.setattr(dead_man_helper, "open", system.open, raising=False)
        monkeypatch.setattr(sys, "argv", ["the script", *arguments])
        dead_man_helper.main()
        return system

    return run


def test_nothing_noted(run: Run) -> None:
    """Without arguments no process is touched."""
    system = run(System({10: Entry(1, 500)}))

    assert (system.signals, system.sleeps) == ([], [])


def test_noted_process(run: Run) -> None:
    """A process that was noted is asked to end, and is not killed when it does; others are left alone."""
    system = run(System({10: Entry(1, 500), 11: Entry(1, 501), 12: Entry(11, 502)}), "10:500")

    assert system.signals == [(10, TERM)]
    assert set(system.table) == {11, 12}
    assert system.sleeps == [0.01]


def test_several_processes(run: Run) -> None:
    """All that were noted are asked before anything is waited for."""
    system = System({10: Entry(1, 500), 11: Entry(1, 501)})
    asked: list[int] = []
    system.on_sleep = lambda: asked.append(len(system.signals))
    run(system, "10:500", "11:501")

    assert sorted(system.signals) == [(10, TERM), (11, TERM)]
    assert asked == [2]


def test_descendants(run: Run) -> None:
    """What a noted process has started ends with it, to any depth and in any order of ids; its parent does not."""
    table = {30: Entry(10, 502), 20: Entry(30, 503), 5: Entry(20, 504), 10: Entry(7, 500), 7: Entry(1, 400)}
    system = run(System(table), "10:500")

    assert sorted(system.signals) == [(5, TERM), (10, TERM), (20, TERM), (30, TERM)]
    assert set(system.table) == {7}


@pytest.mark.parametrize("start", [499, 501, 5, 5000])
def test_id_of_another_process(run: Run, start: int) -> None:
    """A process with another start time than the noted one is left alone, and so are its children."""
    system = run(System({10: Entry(1, start), 11: Entry(10, 500)}), "10:500")

    assert (system.signals, system.sleeps) == ([], [])


def test_process_that_has_ended(run: Run) -> None:
    """A noted process that is not there any more keeps no other from ending."""
    system = run(System({11: Entry(1, 501)}), "10:500", "11:501")

    assert system.signals == [(11, TERM)]


@pytest.mark.parametrize("name", ["a b", "a) S 1", ") Z 1 (", "(", ""])
def test_name_of_a_process(run: Run, name: str) -> None:
    """No name of a process makes it look like another one."""
    system = run(System({10: Entry(1, 500, name=name)}), "10:500")

    assert system.signals == [(10, TERM)]


def test_zombies(run: Run) -> None:
    """A process that has ended and was not waited for gets no signal, but what it has started does."""
    table = {
        10: Entry(1, 500),
        11: Entry(10, 501, state="Z"),
        12: Entry(11, 502),
        13: Entry(1, 503, state="Z"),
    }
    system = run(System(table), "10:500", "13:503")

    assert sorted(system.signals) == [(10, TERM), (12, TERM)]


def test_process_that_becomes_a_zombie(run: Run) -> None:
    """A process whose parent does not wait for it counts as ended all the same."""
    system = System({10: Entry(1, 500, deaf=True)})

    def end() -> None:
        system.table[10] = Entry(1, 500, state="Z")

    system.on_sleep = end
    run(system, "10:500")

    assert (system.signals, system.sleeps) == ([(10, TERM)], [0.01])


def test_deaf_process(run: Run) -> None:
    """A process that stays is killed after a second, not before."""
    system = System({10: Entry(1, 500, deaf=True), 11: Entry(1, 501)})
    run(system, "10:500", "11:501")

    assert sorted(system.signals[:2]) == [(10, TERM), (11, TERM)]
    assert system.signals[2:] == [(10, KILL)]
    assert system.now == pytest.approx(1001, abs=0.02)
    assert system.now >= 1001
    assert set(system.sleeps) == {0.01}


def test_deaf_child(run: Run) -> None:
    """A child that stays is killed although its parent has gone."""
    system = System({10: Entry(1, 500), 11: Entry(10, 501, deaf=True)})
    system.on_sleep = lambda: system.table.update({11: Entry(1, 501, deaf=True)})
    run(system, "10:500")

    assert sorted(system.signals[:2]) == [(10, TERM), (11, TERM)]
    assert system.signals[2:] == [(11, KILL)]


def test_process_that_ends_slowly(run: Run) -> None:
    """A process that takes its time within the second is not killed."""
    system = System({10: Entry(1, 500, deaf=True)})

    def end() -> None:
        if len(system.sleeps) == 90:
            del system.table[10]

    system.on_sleep = end
    run(system, "10:500")

    assert system.signals == [(10, TERM)]
    assert len(system.sleeps) == 90


def test_child_of_the_last_second(run: Run) -> None:
    """What a process starts after it was asked to end is killed with it."""
    system = System({10: Entry(1, 500, deaf=True)})
    system.on_sleep = lambda: system.table.update({20: Entry(10, 600)})
    run(system, "10:500")

    assert system.signals[0] == (10, TERM)
    assert sorted(system.signals[1:]) == [(10, KILL), (20, KILL)]


def test_id_that_is_used_again(run: Run) -> None:
    """A process that gets the id of one that has just ended is not killed."""
    system = System({10: Entry(1, 500), 11: Entry(1, 501, deaf=True)})
    system.on_sleep = lambda: system.table.update({10: Entry(1, 600)})
    run(system, "10:500", "11:501")

    assert sorted(system.signals[:2]) == [(10, TERM), (11, TERM)]
    assert system.signals[2:] == [(11, KILL)]


def test_process_that_vanishes(run: Run) -> None:
    """A process that ends between the list and the look at it is passed over, noted or not."""
    system = System({10: Entry(1, 500)})
    system.vanishing = {20, 30}
    run(system, "10:500", "20:510")

    assert system.signals == [(10, TERM)]


def test_signal_that_cannot_be_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends before its signal, or belongs to somebody else, keeps no other from its own."""
    system = System({10: Entry(1, 500, deaf=True), 11: Entry(1, 501, deaf=True)})

    def refuse(pid: int, number: int) -> None:
        system.signals.append((pid, number))
        raise PermissionError

    monkeypatch.setattr(system, "kill", refuse)
    run(system, "10:500", "11:501")

    assert sorted(system.signals) == [(10, KILL), (10, TERM), (11, KILL), (11, TERM)]


def test_no_proc(run: Run) -> None:
    """Where no /proc shows them the processes that are known by their ids alone are killed at once."""
    system = System({10: Entry(1, 500), 11: Entry(1, 501)})
    system.has_proc = False
    run(system, "10:0", "11:0")

    assert system.signals == [(10, KILL), (11, KILL)]
    assert system.sleeps == []


def test_no_proc_any_more(run: Run) -> None:
    """A process that cannot be recognised is left alone, and processes without a start time end nevertheless."""
    system = System({10: Entry(1, 500), 11: Entry(1, 501)})
    system.has_proc = False
    run(system, "10:500", "11:0")

    assert system.signals == [(11, KILL)]


def test_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module does its work when it is run as a script, and nothing when it is only imported."""
    system = System({10: Entry(1, 500)})
    system.has_proc = False
    monkeypatch.setattr(os, "kill", system.kill)
    monkeypatch.setattr(os, "listdir", system.listdir)
    monkeypatch.setattr(sys, "argv", ["the script", "10:0"])
    runpy.run_path(dead_man_helper.__file__, run_name="imported")
    before = list(system.signals)
    runpy.run_path(dead_man_helper.__file__, run_name="__main__")

    assert before == []
    assert system.signals == [(10, KILL)]
