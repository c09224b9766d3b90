"""The idioms of interrupts do what they say, also where a signal handler raises in the middle of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from easycluster_server._io.interrupts import FirstOf, Gate, OwnedLock
from helpers.checkpoints import places, strike
from helpers.threads import in_other_thread
from helpers.waiting import PATIENCE

TIMES = pytest.mark.parametrize("times", [1, 2, 3])


def is_free(lock: OwnedLock) -> bool:
    """Whether another thread can take the lock; it gives it back."""

    def take() -> bool:
        taken = lock.acquire(False)
        if taken:
            lock.release()
        return taken

    return bool(in_other_thread(take))


@contextmanager
def held_by_another(lock: OwnedLock) -> Iterator[threading.Event]:
    """Another thread has the lock until the event is set, or until the end."""
    taken, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(PATIENCE)
    yield leave
    leave.set()
    thread.join()


# Locks.


def test_owner_of_a_lock() -> None:
    """A thread knows whether it has the lock; another one does not have it."""
    lock = OwnedLock()
    before = lock.is_mine()
    with lock:
        assert lock.is_mine()
        assert not in_other_thread(lock.is_mine)

    assert not before
    assert not lock.is_mine()


def test_taking_a_free_lock() -> None:
    """That the lock was taken is returned and noted, and other threads cannot have it."""
    lock = OwnedLock()
    held: list[bool] = []

    assert lock.take(held)
    assert held == [True]
    assert not is_free(lock)


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_taking_a_lock_of_another_thread(seconds: float) -> None:
    """A lock that does not come free in time is not noted."""
    lock = OwnedLock()
    held: list[bool] = []
    with held_by_another(lock):
        assert not lock.take(held, seconds)

    assert held == []


def test_waiting_for_a_lock() -> None:
    """A lock that comes free in time is taken."""
    lock = OwnedLock()
    held: list[bool] = []
    with held_by_another(lock) as leave:
        threading.Timer(0, leave.set).start()

        assert lock.take(held, PATIENCE)


def test_giving_back_a_leaked_lock() -> None:
    """A thread gives a lock back as often as it has taken it; what another thread has it leaves alone."""
    lock, others = OwnedLock(), OwnedLock()
    for _ in range(3):
        lock.acquire()
    lock.release_leaked()
    lock.release_leaked()
    with held_by_another(others):
        others.release_leaked()
        assert not is_free(others)

    assert is_free(lock)


@TIMES
@pytest.mark.parametrize("seconds", [0, PATIENCE])
def test_interrupts_while_a_lock_is_taken(times: int, seconds: float) -> None:
    """Wherever signal handlers raise while a lock is taken, used and given back, it is free afterwards."""
    lock = OwnedLock()

    def use() -> None:
        held: list[bool] = []
        try:
            if lock.take(held, seconds):
                lock.is_mine()
        finally:
            if held:
                lock.release()

    def once(at: int) -> bool:
        outcome = strike(use, at, times)
        assert not lock.is_mine(), outcome
        assert is_free(lock), outcome
        return outcome.struck > 0

    assert places(once) > 2


# Gates.


def test_closed_at_first() -> None:
    """Nobody passes a gate that was not opened."""
    gate = Gate()

    assert not gate.wait(0)
    assert not gate.wait(0.001)


@pytest.mark.parametrize("openings", [1, 3])
def test_open_for_one(openings: int) -> None:
    """A gate lets one thread through, however often it was opened before, and is closed again then."""
    gate = Gate()
    for _ in range(openings):
        gate.open()

    assert gate.wait()
    assert not gate.wait(0)
    gate.open()
    assert gate.wait(0)


def test_waiting_at_a_gate() -> None:
    """A thread that waits goes on when another opens the gate."""
    gate = Gate()
    passed: list[bool] = []
    thread = threading.Thread(target=lambda: passed.append(gate.wait(PATIENCE)))
    thread.start()
    gate.open()
    thread.join()

    assert passed == [True]


@TIMES
def test_interrupts_while_a_gate_is_opened(times: int) -> None:
    """A thread that is interrupted while it opens a gate can open it again: one passes, and no more."""

    def once(at: int) -> bool:
        gate = Gate()
        outcome = strike(gate.open, at, times)
        gate.open()
        assert gate.wait(0), outcome
        assert not gate.wait(0), outcome
        return outcome.struck > 0

    assert places(once) > 1


@TIMES
def test_interrupts_while_a_gate_is_passed(times: int) -> None:
    """A thread that is interrupted at an open gate has passed it or finds it open, and never keeps others out."""

    def once(at: int) -> bool:
        gate = Gate()
        gate.open()
        outcome = strike(lambda: gate.wait(0), at, times)
        gate.wait(0)
        gate.open()
        assert in_other_thread(gate.wait, 0), outcome
        return outcome.struck > 0

    assert places(once) > 1


# The first value.


def test_first_value_stays() -> None:
    """The first value that is set is what everybody gets, also where it is None."""
    for first in ("a", None):
        place = FirstOf()

        assert place.set(first) is first
        assert in_other_thread(place.set, "b") is first
        assert place.set("c") is first


@TIMES
def test_interrupts_while_a_value_is_set(times: int) -> None:
    """A thread that is interrupted while it sets a value sets it again, and has its first value."""

    def once(at: int) -> bool:
        place = FirstOf()
        outcome = strike(lambda: place.set("mine"), at, times)
        first = place.set("mine")
        assert first == "mine", outcome
        assert in_other_thread(place.set, "another's") == "mine", outcome
        return outcome.struck > 0

    assert places(once) > 1
