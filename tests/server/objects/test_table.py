"""The table of server objects: what counts, what is given back, and where objects are let go."""

from __future__ import annotations

import _thread
import random
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from easycluster_protocol._objects.exports import CLASS_KNOWN, ServerObject, find_exports
from easycluster_protocol._values.object_pickle import dumps_result
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._objects.table import ObjectTable
from helpers.states import table_is_locked
from helpers.waiting import PATIENCE, wait_until


class Thing(ServerObject):
    """A server object that says when it goes."""

    def __init__(self, at_end: Callable[[], Any] = lambda: None) -> None:
        self.at_end = at_end

    def __del__(self) -> None:
        self.at_end()


def give_back(table: ObjectTable, *releases: tuple[int, int]) -> Message:
    """Let a message of the client return receipts; return it."""
    message = Message(m.CALL, 1, b"", 0, (), (), list(releases))
    table.release(message)
    return message


def settled(table: ObjectTable, length: int) -> None:
    """Wait until the table has this length; what is let go is let go by other threads."""
    wait_until(lambda: len(table) == length, what=f"{length} objects")


def test_numbers() -> None:
    """Objects are numbered from 1; the same object has the same number while it is there."""
    table = ObjectTable()
    first, second = Thing(), Thing()

    assert [table.add(value, {}) for value in (first, second, first)] == [1, 2, 1]
    assert table.get(1) is first
    assert len(table) == 2
    table.give_back([1])
    table.give_back([1])
    assert table.add(first, {}) == 3


def test_one_receipt_for_each_message() -> None:
    """A message that names an object twice is one receipt; an object stays until all are given back."""
    table, thing = ObjectTable(), Thing()
    listed: dict[int, None] = {}
    table.add(thing, listed)
    table.add(thing, listed)
    table.add(thing, {})

    assert list(listed) == [1]
    table.give_back([1])
    assert table.get(1) is thing
    table.give_back([1])
    assert len(table) == 0


def test_no_such_object() -> None:
    """A number that no object has any more is an error that says why, and giving it back does nothing."""
    table = ObjectTable()
    table.give_back([table.add(Thing(), {})])

    with pytest.raises(ReferenceError, match="no object 1 on the server: its proxy was dropped"):
        table.get(1)
    table.give_back([1, 7])
    assert len(table) == 0


def test_release() -> None:
    """A message of the client returns several receipts of several objects."""
    table = ObjectTable()
    first, second = Thing(), Thing()
    for _ in range(3):
        table.add(first, {})
    table.add(second, {})

    give_back(table, (1, 2), (2, 1))
    settled(table, 1)
    assert table.get(1) is first
    give_back(table, (1, 1), (99, 5))
    settled(table, 0)


def test_the_same_message_twice() -> None:
    """A message that comes twice, because an interrupt came, returns its receipts once."""
    table = ObjectTable()
    kept, witness = Thing(), Thing()
    for _ in range(2):
        table.add(kept, {})
    for _ in range(3):
        table.add(witness, {})

    message = give_back(table, (1, 1), (2, 1))
    table.release(message)
    table.release(message)
    give_back(table, (2, 1))  # an equal message is another one
    give_back(table, (2, 1))
    settled(table, 1)

    assert table.get(1) is kept


def test_large_messages_are_not_kept() -> None:
    """A message whose receipts were returned is not kept: its body may be large."""
    table = ObjectTable()
    table.add(Thing(), {})
    message = give_back(table, (1, 1))
    settled(table, 0)
    seen = weakref.ref(message)
    del message

    wait_until(lambda: seen() is None, what="the end of the message")


def test_finalisers_run_elsewhere() -> None:
    """A finaliser that never ends keeps neither who reads nor the table; other objects come and go."""
    table = ObjectTable()
    begun, go_on = threading.Event(), threading.Event()
    threads: list[int] = []

    def linger() -> None:
        threads.append(threading.get_ident())
        begun.set()
        go_on.wait(PATIENCE)

    table.add(Thing(linger), {})
    give_back(table, (1, 1))
    assert begun.wait(PATIENCE)
    table.add(Thing(), {})
    give_back(table, (2, 1))
    settled(table, 0)
    go_on.set()

    assert threads != [threading.get_ident()]


def test_finalisers_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finaliser that raises is reported by Python and keeps no other object of the same message."""
    table = ObjectTable()
    gone: list[int] = []
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    def fail() -> None:
        raise SystemExit("on purpose")

    for at_end in (lambda: gone.append(1), fail, lambda: gone.append(3)):
        table.add(Thing(at_end), {})
    give_back(table, (1, 1), (2, 1), (3, 1))

    wait_until(lambda: sorted(gone) == [1, 3] and raised, what="three finalisers")
    assert len(table) == 0


def test_finalisers_that_use_the_table() -> None:
    """A finaliser may make server objects itself, also one that runs where receipts are given back."""
    table = ObjectTable()
    made: list[int] = []
    other = Thing()

    table.give_back([table.add(Thing(lambda: made.append(table.add(other, {}))), {})])
    assert made == [2]
    table.add(Thing(lambda: made.append(table.add(other, {}))), {})
    give_back(table, (3, 1))

    wait_until(lambda: made == [2, 2], what="the second finaliser")
    assert len(table) == 1


class Refuses:
    """Fails to be pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("not me")


def test_results_that_fail_half_way() -> None:
    """A result that names objects and then cannot be pickled counts no receipt."""
    table = ObjectTable()
    kept = Thing()
    body, _, named = dumps_result([kept], 4, table)
    assert (body != b"", list(named)) == (True, [1])

    with pytest.raises(ValueError, match="not me"):
        dumps_result([kept, Thing(), Thing(), Refuses()], 4, table)

    assert len(table) == 1
    table.give_back(named)
    assert len(table) == 0


def test_random_counting() -> None:
    """Whatever order answers and releases take in whatever threads, all given back means an empty table."""
    table = ObjectTable()
    things = [Thing() for _ in range(20)]
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        owed: list[int] = []
        try:
            for _ in range(1500):
                listed: dict[int, None] = {}
                for thing in chance.sample(things, 3):
                    oid = table.add(thing, listed)
                    assert table.get(oid) is thing
                owed.extend(listed)
                chance.shuffle(owed)
                table.give_back(owed[:3])
                del owed[:3]
        except BaseException as error:
            errors.append(error)
        table.give_back(owed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert (len(table), table._known) == (0, {})


def test_the_reader_only_starts_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads takes no lock for a release: it starts a thread, in one call."""
    table = ObjectTable()
    table.add(Thing(), {})
    started: list[Any] = []

    def start(*call: Any) -> None:
        started.append(call)

    with table_is_locked(table):
        monkeypatch.setattr(_thread, "start_new_thread", start)
        give_back(table, (1, 1))
    ((function, arguments),) = started
    assert len(table) == 1
    function(*arguments)

    assert len(table) == 0


class Large(Thing):
    """Exports more names than an answer repeats."""

    export_methods = tuple(f"method_{number}" for number in range(50))


def test_classes_that_the_client_knows() -> None:
    """A large description has a number, which takes its place when the client has said that it knows it."""
    table = ObjectTable()
    small, large = find_exports(Thing()), find_exports(Large())
    assert small is not None
    assert large is not None

    assert table.describe(small) == (small.descriptor,)
    assert [table.describe(large), table.describe(large)] == [(large.descriptor, 1)] * 2
    give_back(table, (CLASS_KNOWN + 7, 1))  # a number that was never given
    assert table.describe(large) == (large.descriptor, 1)
    give_back(table, (CLASS_KNOWN + 1, 3))
    give_back(table, (CLASS_KNOWN + 1, 1))
    assert table.describe(large) == (1,)
    assert ObjectTable().describe(large) == (large.descriptor, 1)  # another connection knows nothing


def test_known_classes_are_noted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to the call that says so can rely on it, and no thread is started for that alone."""
    table, started = ObjectTable(), list[Any]()
    monkeypatch.setattr(_thread, "start_new_thread", lambda *call: started.append(call))
    large = find_exports(Large())
    assert large is not None
    table.describe(large)

    give_back(table, (CLASS_KNOWN + 1, 1))
    assert (table.describe(large), started) == ((1,), [])
    give_back(table, (CLASS_KNOWN + 1, 1), (5, 1))
    assert len(started) == 1


def test_more_classes_than_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes beyond a limit are described by each answer, so that those made on the fly fill no memory."""
    monkeypatch.setattr("easycluster_server._objects.table.MAX_NUMBERED_CLASSES", 1)
    table = ObjectTable()
    first, second = find_exports(Large()), find_exports(type("More", (Large,), {})())
    assert first is not None
    assert second is not None

    assert table.describe(first) == (first.descriptor, 1)
    assert table.describe(second) == (second.descriptor,)
    assert table.describe(first) == (first.descriptor, 1)
