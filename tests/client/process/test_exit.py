"""The end of the interpreter: connections are finished, and daemon threads that notice are blocked."""

from __future__ import annotations

import atexit
import gc
import runpy
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from easycluster_client._process import exit as exit_module
from easycluster_client._process.exit import Finishable, block_at_exit, close_at_exit
from helpers.clocks import Clock


class Connection:
    """A connection that does something when it is finished.

    Args:
        on_finish: what it does.
        on_hang_up: what it does before that, when it hangs up.
    """

    def __init__(self, on_finish: Callable[[], object], on_hang_up: Callable[[], object] = list) -> None:
        self._on_finish = on_finish
        self._on_hang_up = on_hang_up

    def hang_up(self) -> None:
        self._on_hang_up()

    def finish(self) -> None:
        self._on_finish()


class Threads:
    """Stands for the module `threading`, in one thread of a process.

    Args:
        ident: the thread that runs; 1 is the main thread.

    Attributes:
        blocked: the limits of the waits for events that nobody sets.
    """

    def __init__(self, ident: int) -> None:
        self._ident = ident
        self.blocked: list[float | None] = []

    def get_ident(self) -> int:
        return self._ident

    def main_thread(self) -> SimpleNamespace:
        return SimpleNamespace(ident=1)

    def Event(self) -> SimpleNamespace:  # noqa: N802 -- as in the module
        return SimpleNamespace(wait=self._wait)

    def _wait(self, timeout: float | None = None) -> None:
        self.blocked.append(timeout)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is noted, and the interpreter does not end; afterwards all is as before."""
    connections: weakref.WeakSet[Finishable] = weakref.WeakSet()
    monkeypatch.setattr(exit_module, "_connections", connections)
    monkeypatch.setattr(exit_module, "_is_ending", False)
    monkeypatch.setattr(exit_module, "_ending_since", float("inf"))


def count_blocks(patch: pytest.MonkeyPatch, ident: int) -> list[float | None]:
    """Let a thread look whether it is to be blocked; return the limits of its waits."""
    threads = Threads(ident)
    patch.setattr(exit_module, "threading", threads)
    block_at_exit()
    return threads.blocked


def test_connections_are_finished() -> None:
    """Each noted connection is finished once, and none before the end."""
    finished: list[int] = []
    one, two = Connection(lambda: finished.append(1)), Connection(lambda: finished.append(2))
    close_at_exit(one)
    close_at_exit(two)
    close_at_exit(one)
    before = list(finished)
    exit_module._finish_all()

    assert before == []
    assert sorted(finished) == [1, 2]


def test_connections_end_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All hang up before any is waited for, and together they have the time that one has."""
    clock, steps = Clock(), list[str]()
    monkeypatch.setattr(exit_module, "time", clock)

    def finish() -> None:
        steps.append(f"finished by {exit_module.deadline_of_end(5)}")
        clock.now += 2

    connections = [Connection(finish, lambda: steps.append("hung up")) for _ in range(3)]
    for each in connections:
        close_at_exit(each)
    before = exit_module.deadline_of_end(5)
    clock.now += 100
    exit_module._finish_all()

    assert before == 1005
    assert steps == ["hung up"] * 3 + ["finished by 1105.0"] * 3


def test_dropped_connections() -> None:
    """A connection that nobody has any more is not kept for the end."""
    finished: list[int] = []
    connection = Connection(lambda: finished.append(1))
    reference = weakref.ref(connection)
    close_at_exit(connection)
    del connection
    gc.collect()
    exit_module._finish_all()

    assert reference() is None
    assert finished == []


def test_connection_that_is_made_at_the_end() -> None:
    """A connection whose end makes another one does not disturb the end of the rest."""
    finished: list[int] = []
    late = Connection(lambda: finished.append(3))

    def make_another() -> None:
        finished.append(1)
        close_at_exit(late)

    noted = [Connection(make_another), Connection(make_another)]
    for each in noted:
        close_at_exit(each)
    exit_module._finish_all()

    assert finished == [1, 1]


def test_end_is_known_before_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon thread that notices the end of its connection at once finds that the interpreter ends."""
    found: list[list[float | None]] = []
    connection = Connection(lambda: found.append(count_blocks(monkeypatch, 2)))
    close_at_exit(connection)
    exit_module._finish_all()

    assert found == [[None]]


@pytest.mark.parametrize(
    ("ends", "ident", "blocked"), [(True, 2, [None]), (True, 1, []), (False, 2, []), (False, 1, [])]
)
def test_blocked_threads(
    monkeypatch: pytest.MonkeyPatch, ends: bool, ident: int, blocked: list[float | None]
) -> None:
    """Only at the end, and never in the main thread, a thread is blocked, and that for good."""
    if ends:
        exit_module._finish_all()

    assert count_blocks(monkeypatch, ident) == blocked


def test_other_threads_go_on() -> None:
    """As long as the interpreter does not end, a thread that has lost its connection goes on."""
    thread = threading.Thread(target=block_at_exit, daemon=True)
    thread.start()
    thread.join(30)

    assert not thread.is_alive()


def test_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit function is registered when the module is imported, and the end has not come then."""
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    names = runpy.run_path(exit_module.__file__)

    assert registered == [names["_finish_all"]]
    assert names["_is_ending"] is False
