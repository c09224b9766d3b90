"""What of an exception is pickled: all that can be sent, server objects too, and text for the rest."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from easycluster_protocol._objects import proxies
from easycluster_protocol._objects.exports import make_singleton
from easycluster_protocol._values.failures import pack_exception, unpack_exception
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from helpers.object_ends import Ends, Thing
from helpers.states import registrations_restored


class Holder(Exception):
    """Takes any attributes."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args)
        vars(self).update(attributes)


@pytest.fixture(autouse=True)
def nothing_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may have imported cloudpickle in this process; here nothing has come by value."""
    monkeypatch.delitem(sys.modules, "cloudpickle", raising=False)


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Both sides of some objects."""
    yield Ends()
    proxies.server_objects = None


def journey(ends: Ends, error: BaseException, protocol: int = 5) -> Any:
    """The exception that arrives at the client."""
    listed: dict[int, None] = {}
    body = pack_exception(error, protocol, ends.table, listed)
    (message,) = ends.arrive(Message(m.FAILURE, next(ends._numbers), body, 0, (), list(listed)))
    if message.receipts is None:
        return unpack_exception(message.body, "h")[0]
    return ends.references.load_answer(message, partial(unpack_exception, message.body, "h"))[0]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_objects(ends: Ends, protocol: int) -> None:
    """Server objects become proxies; they are dropped when these are gone."""
    thing = Thing()

    found = journey(ends, Holder(thing, more={"a": [thing, Thing()]}), protocol)

    assert found.args[0] is found.more["a"][0]
    assert found.args[0].proxy_object_id == 1
    assert len(ends.table) == 2
    del found
    gc.collect()
    ends.give_back()
    assert len(ends.table) == 0


def test_objects_beside_what_cannot_be_sent(ends: Ends) -> None:
    """A value that cannot be sent becomes text, alone: objects beside it, in any container, are proxies."""
    thing, lock = Thing(), threading.Lock()
    deep = [[[[[[thing, lock]]]]]]

    found = journey(
        ends,
        Holder(
            lock,
            [lock, thing],
            {"a": (thing, lock), lock: 1},
            {thing, "x"},
            deep=deep,
            long=[lock, thing] * 200,
        ),
    )

    text, listed, table, some = found.args
    assert "lock" in text
    assert "lock" in listed[0]
    proxy = listed[1]
    assert table["a"][0] is proxy
    assert some == {proxy, "x"}
    assert [type(key) for key in table] == [str, str]
    assert isinstance(found.long, str)
    assert "lock" in str(found.deep)
    del found, listed, table, some, proxy
    gc.collect()
    ends.give_back()
    assert len(ends.table) == 0


def test_exceptions_within(ends: Ends) -> None:
    """An exception in another one, which cannot be sent whole, arrives as well as it can."""
    found = journey(ends, Holder(Holder(threading.Lock(), Thing())))

    (inner,) = found.args
    assert type(inner) is Holder
    assert "lock" in inner.args[0]
    assert inner.args[1].proxy_object_id == 1


def test_singletons(ends: Ends) -> None:
    """A single object of a built-in type is a proxy, too."""
    with registrations_restored():
        single = make_singleton(["single"])
        found = journey(ends, Holder(single, ["other"]))

    assert found.args[0].proxy_object_id == 1
    assert found.args[1] == ["other"]


def test_where_nothing_stays() -> None:
    """Where there is no table of objects, an object becomes text."""
    found, _ = unpack_exception(pack_exception(Holder(Thing()), 5), "h")

    assert "Thing object" in found.args[0]


def test_the_end_of_a_generator_is_not_rebuilt_first(ends: Ends) -> None:
    """The value of a StopIteration is a result: it is pickled once, and not unpickled on the server."""
    calls: list[int] = []

    class Value:
        def __reduce__(self) -> Any:
            calls.append(1)
            return str, ("value",)

    assert journey(ends, StopIteration(Value())).value == "value"
    assert len(calls) == 1


def test_an_interrupt_while_parts_are_tried(ends: Ends) -> None:
    """A real Ctrl-C while the parts of an exception are tried is not taken for a fault of theirs."""
    lock, tries = threading.Lock(), []

    class Slow:
        def __reduce__(self) -> Any:
            tries.append(1)
            if len(tries) == 3:
                raise KeyboardInterrupt
            return threading.Lock, (lock,)

    with pytest.raises(KeyboardInterrupt):
        pack_exception(Holder(Slow()), 5, ends.table, {})


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


def test_what_has_no_text(ends: Ends) -> None:
    """A value that can neither be sent nor described is named by its type."""
    assert journey(ends, Holder(BadRepr())).args == ("<BadRepr>",)


def test_exceptions_that_hold_each_other() -> None:
    """Exceptions that hold themselves or each other, and something that cannot be sent, arrive all the same:
    the second time they are text."""
    error = Holder("outer", lock=threading.Lock())
    inner = Holder("inner", lock=threading.Lock(), first=error, second=error)
    error.args = ("outer", error, error, inner, [error, inner])

    found, _ = unpack_exception(pack_exception(error, 5), "h")

    assert type(found) is Holder
    assert found.args[0] == "outer"
    assert isinstance(found.args[1], str)
    assert type(found.args[3]) is Holder
    assert vars(found.args[3])["lock"] == repr(vars(inner)["lock"])
    assert isinstance(vars(found.args[3])["first"], str)


def test_long_chain_of_attributes() -> None:
    """Exceptions that are deep within others are text."""
    error = Holder(0, lock=threading.Lock())
    for number in range(1, 60):
        error = Holder(number, lock=threading.Lock(), left=error, right=error)

    found: Any = unpack_exception(pack_exception(error, 5), "h")[0]

    depth = 0
    while isinstance(found, Holder):
        assert found.args == (59 - depth,)
        found, depth = vars(found)["left"], depth + 1
    assert isinstance(found, str)
    assert 1 < depth < 10
