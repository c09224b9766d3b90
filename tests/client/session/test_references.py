"""Receipts: what a client counts of server objects, beside the table of a server, without a connection."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._calls.proxy_state import ProxyState
from easycluster_client._session.references import References
from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol._objects import proxies as proxies_module
from easycluster_protocol._objects.proxies import RemoteProxy, context
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import ConnectionLost
from helpers.checkpoints import places, strike
from helpers.client_states import references_are_locked
from helpers.object_ends import Ends, Thing
from helpers.other_thread import OtherThread


@pytest.fixture
def ends() -> Ends:
    """Both sides."""
    return Ends()


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Nothing but reference counting lets go of anything."""
    gc.disable()
    yield
    gc.enable()


def test_the_same_proxy_while_one_is_alive(ends: Ends) -> None:
    """While a proxy is alive its object gives the same one; afterwards another, and the object stays the same."""
    thing = Thing()
    proxy = ends.loads(thing)

    assert ends.loads({"key": [thing]})["key"][0] is proxy
    assert ends.loads([Thing()])[0] is not proxy
    vars(proxy)["mark"] = "set on the client"
    del proxy
    again = ends.loads(thing)
    assert again.proxy_object_id == 1
    assert "mark" not in vars(again)


def test_receipts_are_given_back_at_the_end(ends: Ends) -> None:
    """Each answer that names an object is one receipt; all of them are given back when its proxy is gone."""
    thing = Thing()
    proxies = [ends.loads([thing, thing]) for _ in range(5)]

    assert ends.references.take_releases() == []
    del proxies
    assert ends.references.take_releases() == [(1, 5)]
    assert ends.references.take_releases() == []


def test_dropping_is_one_append(ends: Ends) -> None:
    """Dropping a proxy takes no lock, sends nothing and calls nothing of ours but ``garbage.append``, a C function."""
    proxy = ends.loads(Thing())
    assert ends.references._live[1].__callback__ == ends.references.garbage.append
    with references_are_locked(ends.references):
        seen = weakref.ref(proxy)
        del proxy
        assert seen() is None
        assert len(ends.references.garbage) == 1


@pytest.mark.usefixtures("no_collection")
def test_answers_that_nobody_reads(ends: Ends) -> None:
    """The receipts of an answer that is dropped unread are given back with it, once, although it was noted twice."""
    message = ends.answer([Thing(), Thing()])
    ends.references.note(message)
    ends.references.note(message)
    assert not ends.references.garbage
    del message

    assert sorted(ends.references.take_releases()) == [(1, 1), (2, 1)]


@pytest.mark.parametrize("keep", [False, True])
def test_answers_that_fail_to_unpickle(ends: Ends, keep: bool) -> None:
    """An answer that cannot be unpickled gives back its receipts, but not those of proxies that are alive."""
    thing, other = Thing(), Thing()
    proxy = ends.loads(thing) if keep else None
    message = ends.answer([thing, other], b"no pickle")
    with pytest.raises(Exception, match="pickle|load key"):
        ends.rebuild(message)
    del message
    gc.collect()
    ends.give_back()

    assert len(ends.table) == (1 if keep else 0)
    del proxy
    ends.give_back()
    assert len(ends.table) == 0


def _drop(proxy: Any) -> int:
    return int(proxy.proxy_object_id)


class Forgets:
    """Pickles a server object that nobody keeps at the other end."""

    def __reduce__(self) -> Any:
        return _drop, (Thing(),)


def test_proxies_that_do_not_outlive_unpickling(ends: Ends) -> None:
    """What is named in an answer, and dropped while that is unpickled, is given back."""
    assert ends.loads([Forgets(), Forgets()]) == [1, 2]
    ends.give_back()

    assert len(ends.table) == 0


def test_dropped_while_an_answer_is_on_its_way(ends: Ends) -> None:
    """A proxy that is dropped while another answer names its object costs that answer nothing."""
    thing = Thing()
    proxy = ends.loads(thing)
    message = ends.answer(thing)
    del proxy
    ends.give_back()

    again = ends.rebuild(message)
    assert ends.table.get(again.proxy_object_id) is thing
    del again, message
    ends.give_back()
    assert len(ends.table) == 0


def test_no_table_is_too_long(ends: Ends) -> None:
    """No message gives back more objects than fit one table, however many lie there in whatever pieces."""
    things = [Thing() for _ in range(MAX_TABLE_ENTRIES)]
    proxies = [ends.loads(thing) for thing in things[:10]]
    messages = [ends.answer(things), ends.answer(things[5:]), ends.answer([Thing()])]
    del proxies, messages
    sizes: list[int] = []
    while given := ends.references.take_releases():
        sizes.append(len(given))
        assert sum(receipts for _, receipts in given) > 0
        ends.table._release(given)

    assert max(sizes) == MAX_TABLE_ENTRIES
    assert len(ends.table) == 0
    assert not ends.references._live


def test_messages_that_were_not_sent(ends: Ends) -> None:
    """What a message should have taken along is given back by a later one."""
    thing = Thing()
    proxies = [ends.loads(thing), ends.loads(thing)]
    del proxies
    pairs = ends.references.take_releases()
    ends.references.keep_releases(pairs)

    assert ends.references.take_releases() == pairs == [(1, 2)]


def test_dict_keyed_by_proxies(ends: Ends) -> None:
    """Proxies may be keys and members of sets."""
    one, two = Thing(), Thing()

    value = ends.loads({one: {two}, two: frozenset([one])})
    first, second = value
    assert value[first] == {second}
    assert value[second] == {first}


def test_one_answer_in_several_threads(ends: Ends) -> None:
    """Threads that unpickle the same answer at once count its receipts once."""
    for _ in range(50):
        message = ends.answer([Thing()])
        start = threading.Barrier(3)
        found: list[Any] = []

        def unpickle(start: Any = start, found: Any = found, message: Any = message) -> None:
            start.wait()
            found.append(ends.rebuild(message)[0])

        threads = [threading.Thread(target=unpickle) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0] is found[1] is found[2]
        del found, message, unpickle
        threads.clear()
    ends.give_back()
    assert len(ends.table) == 0


def test_answers_that_come_twice(ends: Ends) -> None:
    """A server that was interrupted sends its answer twice and has counted one receipt: the second gives back none."""
    thing = Thing()
    sent = ends.send([thing])
    (first,) = ends.arrive(sent)
    (proxy,) = ends.rebuild(first)
    (second,) = ends.arrive(sent)
    del first, second
    gc.collect()
    ends.give_back()

    assert ends.table.get(proxy.proxy_object_id) is thing
    del proxy
    ends.give_back()
    assert len(ends.table) == 0


@pytest.mark.parametrize("how", ["read", "unread", "damaged"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_more_objects_than_one_table(ends: Ends, how: str, again: bool) -> None:
    """What an answer names ahead of itself counts as what it names; also when part of it had come before."""
    things = [Thing() for _ in range(MAX_TABLE_ENTRIES + 10)]
    sent = ends.send(things)
    if again:
        ends.references.note_ahead(Message(m.REFERENCES, sent.request, references=sent.references[:10]))
    (message,) = ends.arrive(sent, b"damaged" if how == "damaged" else None)
    held: list[Any] = []
    if how == "read":
        held = ends.rebuild(message)
    elif how == "damaged":
        with pytest.raises(pickle.UnpicklingError):
            ends.rebuild(message)
    if again:
        ends.arrive(sent)
    del message
    gc.collect()
    ends.give_back()

    assert len(ends.table) == len(held) == (len(things) if how == "read" else 0)
    held.clear()
    ends.give_back()
    assert (len(ends.table), ends.references._live, ends.references._ahead) == (0, {}, {})


@pytest.mark.parametrize("number", [0, -1, "1", 1.0, None, True, (1,), [1]], ids=repr)
def test_numbers_that_no_object_has(ends: Ends, number: Any) -> None:
    """A server that names an object by something else gets no proxy, least of all of its root object."""
    with pytest.raises(TypeError, match="the number of a server object cannot be"):
        ends.references.load_answer(
            ends.answer([Thing()]), lambda: proxies_module.find_proxy(number, RemoteProxy)
        )

    assert not ends.references._live


# Proxies of classes that scripts define.


class CountedProxy(RemoteProxy):
    """A proxy with an ``__init__`` of its own, which does what the test says."""

    made: list[tuple[Any, Any, Any]]
    act: Any

    def __init__(self, client: Any, oid: Any) -> None:
        CountedProxy.made.append((self, client, oid))
        CountedProxy.act()


@pytest.fixture(autouse=True)
def counted_proxies() -> None:
    """Forget the proxies of earlier tests."""
    CountedProxy.made, CountedProxy.act = [], lambda: None


def test_proxies_with_an_init_of_their_own(ends: Ends) -> None:
    """A proxy class that has an ``__init__`` gets the client and the number, once for each proxy."""
    proxy = ends.references.find_proxy(7, CountedProxy)

    assert ends.references.find_proxy(7, CountedProxy) is proxy
    assert CountedProxy.made == [(proxy, "the client", 7)]
    assert proxy.proxy_object_id == 7
    assert ends.references.find_live_proxy(7) is proxy
    assert ends.references.find_live_proxy(8) is None


def test_init_runs_outside_of_the_lock(ends: Ends, other_thread: OtherThread) -> None:
    """What a script does in its ``__init__`` keeps no other thread from using proxies."""
    found: list[Any] = []
    CountedProxy.act = lambda: found.append(other_thread.run(ends.references.take_releases))
    ends.references.find_proxy(7, CountedProxy)

    assert found == [[]]


def test_init_that_fails(ends: Ends) -> None:
    """A proxy whose ``__init__`` fails is none: the next answer that names the object tries again."""

    def fail() -> None:
        raise KeyboardInterrupt

    CountedProxy.act = fail
    with pytest.raises(KeyboardInterrupt):
        ends.references.find_proxy(7, CountedProxy)
    before = ends.references.find_live_proxy(7)
    CountedProxy.act = lambda: None
    proxy = ends.references.find_proxy(7, CountedProxy)

    assert before is None
    assert CountedProxy.made[1][0] is proxy
    assert ends.references.find_live_proxy(7) is proxy


def test_init_that_fails_after_another_proxy_was_made(ends: Ends) -> None:
    """A failure takes away the own proxy only, and none that was made of the same object meanwhile."""
    others: list[Any] = []

    def fail() -> None:
        del ends.references._live[7]  # as an earlier failure in another thread
        CountedProxy.act = lambda: None
        others.append(ends.references.find_proxy(7, CountedProxy))
        raise ValueError

    CountedProxy.act = fail
    with pytest.raises(ValueError, match="^$"):
        ends.references.find_proxy(7, CountedProxy)

    assert ends.references.find_live_proxy(7) is others[0]


# Receipts on their way.


def test_answers_that_name_objects_ahead_after_they_came(ends: Ends) -> None:
    """Numbers that come ahead of an answer which has come already are those of its repetition, and count nothing."""
    message = Message(m.RESULT, 3, references=[5])
    ends.references.note(message)
    ends.references.note_ahead(Message(m.REFERENCES, 3, references=[6]))
    del message
    gc.collect()

    assert ends.references.take_releases() == [(5, 1)]
    assert ends.references._ahead == {}


def test_objects_that_are_named_twice_ahead(ends: Ends) -> None:
    """An object that is named ahead again, because the server was interrupted, is one receipt."""
    for numbers in ([5, 6], [6, 7]):
        ends.references.note_ahead(Message(m.REFERENCES, 3, references=numbers))
    message = Message(m.RESULT, 3, references=[8])
    ends.references.note(message)
    del message
    gc.collect()

    assert ends.references.take_releases() == [(5, 1), (6, 1), (7, 1), (8, 1)]


def test_context_of_unpickling(ends: Ends) -> None:
    """While an answer is unpickled its references are known, and afterwards those of before, also after an error."""
    other = Ends()
    message, inner = ends.answer([Thing()]), other.answer([Thing()])
    found: list[Any] = []

    def load() -> int:
        found.append(context.answering)
        found.append(other.references.load_answer(inner, lambda: context.answering))
        found.append(context.answering)
        return 7

    value = ends.references.load_answer(message, load)
    with pytest.raises(ZeroDivisionError):
        ends.references.load_answer(message, lambda: 1 // 0)

    assert value == 7
    assert found == [ends.references, other.references, ends.references]
    assert context.answering is None


@pytest.mark.usefixtures("no_collection")
def test_receipts_are_counted_while_the_value_holds_its_proxies(ends: Ends) -> None:
    """A proxy that lives as long as its answer is unpickled takes the receipt; it gives it back when it goes."""
    message = ends.answer([Thing()])
    value = ends.rebuild(message)
    del message
    before = list(ends.references.garbage)
    del value

    assert before == []
    assert ends.references.take_releases() == [(1, 1)]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("alive", [False, True])
def test_interrupt_while_an_answer_is_unpickled(alive: bool) -> None:
    """Wherever an interrupt comes, no object goes that a proxy is alive for, and without one at most some stay."""

    def once(at: int) -> bool:
        ends = Ends()
        things = [Thing(), Thing()]
        held = ends.loads(things[0]) if alive else None
        message = ends.answer(things)
        outcome = strike(partial(ends.rebuild, message), at)
        value = ends.rebuild(message)
        del message
        ends.give_back()
        assert [ends.table.get(proxy.proxy_object_id) for proxy in value] == things, outcome
        if alive:
            assert held is value[0], outcome
        return outcome.struck > 0

    assert places(once) > 10


@pytest.mark.usefixtures("no_collection")
def test_interrupt_while_an_answer_is_noted() -> None:
    """Wherever an interrupt comes while an answer is noted, noting it again makes each object one receipt."""

    def once(at: int) -> bool:
        ends = Ends()
        ends.references.note_ahead(Message(m.REFERENCES, 3, references=[6]))
        message = Message(m.RESULT, 3, references=[5])
        outcome = strike(partial(ends.references.note, message), at)
        ends.references.note(message)
        del message
        assert sorted(ends.references.take_releases()) == [(5, 1), (6, 1)], outcome
        return outcome.struck > 0

    assert places(once) > 5


# Giving back.


def test_no_more_objects_than_asked_for(ends: Ends) -> None:
    """Receipts are given back in the order of dropping, of so many objects at most; the rest comes next time."""
    ends.references.garbage.extend([[5, 6, 5], [7, 6], [8]])
    first = ends.references.take_releases(2)
    second = ends.references.take_releases(2)
    third = ends.references.take_releases(2)

    assert first == [(5, 1), (6, 1)]
    assert second == [(7, 1), (6, 1)]
    assert third == [(8, 1), (5, 1)]
    assert ends.references.take_releases(2) == []


def test_proxy_that_is_made_again_before_the_old_one_is_given_back(ends: Ends) -> None:
    """A new proxy takes over the receipts of an old one of the same object that have not been given back."""
    thing = Thing()
    proxy = ends.loads(thing)
    old = weakref.ref(proxy)
    del proxy
    assert old() is None
    new = ends.loads(thing)
    given_back = ends.references.take_releases()

    assert given_back == []
    assert ends.references.find_live_proxy(1) is new
    del new
    assert ends.references.take_releases() == [(1, 2)]


def test_receipts_that_stay(ends: Ends) -> None:
    """Pairs that a message did not take along are given back in full later."""
    ends.references.keep_releases([(5, 2), (6, 1)])
    ends.references.keep_releases([])

    assert list(ends.references.garbage) == [[5, 5], [6]]
    assert ends.references.take_releases() == [(5, 2), (6, 1)]


def test_new_locks_after_a_fork(ends: Ends, other_thread: OtherThread) -> None:
    """In a forked process the lock of a thread that is not there any more is replaced, and the maker's, too."""
    renewed: list[int] = []
    maker: Any = ends.references.maker
    maker.renew_locks = lambda: renewed.append(1)
    alone = References(ends.session)
    for references in (ends.references, alone):
        with references_are_locked(references):
            references.renew_locks()
            assert references.take_releases() == []

    assert renewed == [1]


def test_end_of_a_connection(ends: Ends) -> None:
    """References end with their connection, and when their client has another one; only then are they not current."""
    maker: Any = ends.references.maker
    open_ = ends.references.has_ended
    ends.references.check_current()
    ends.session.error = ConnectionLost("ended")
    ended = ends.references.has_ended
    ends.references.check_current()
    ends.session.error = None
    maker.session = Ends().session
    with pytest.raises(ConnectionLost) as caught:
        ends.references.check_current()

    assert (open_, ended, ends.references.has_ended) == (False, True, True)
    assert str(caught.value) == (
        "the connection to host:1 on which this object was given has ended; ask the server for the object again"
    )


# Where proxies may go.


def test_pickled_for_another_connection(ends: Ends) -> None:
    """A proxy can be pickled for its own connection only; the error names it, and where it was to go."""
    proxy = ends.loads(Thing())
    other = Ends()
    other.session.peername = "other:2"

    with pytest.raises(TypeError, match=r"^<Thing \(object 1\) on host:1> cannot be pickled"):
        proxy.__reduce_ex__(4)
    context.references = other.references
    try:
        with pytest.raises(
            TypeError, match="oid 1 on host:1> cannot be passed to other:2: the object is on host:1"
        ):
            proxy.__reduce_ex__(4)
        context.references = ends.references
        assert proxy.__reduce_ex__(4) == (proxies_module.find_object, (1,))
    finally:
        context.references = None


def test_after_the_end(ends: Ends) -> None:
    """With its connection a proxy ends: calls, attributes and passing it say so; its repr and its end still work."""
    proxy = ends.loads(Thing())
    assert proxy.proxy_connection == "the client"
    maker: Any = ends.references.maker
    maker.session = object()

    assert proxy.proxy_connection is None
    assert repr(proxy) == "<RemoteProxy for oid 1 on host:1>"
    ended = "the connection to host:1 on which this object was given has ended"
    with pytest.raises(ConnectionLost, match=ended):
        proxy.raw_call_method("f")
    with pytest.raises(ConnectionLost, match=ended):
        proxy.raw_get_attribute("x")
    with pytest.raises(ConnectionLost, match=ended):
        _ = proxy.some_attribute
    context.references = Ends().references
    try:
        with pytest.raises(TypeError, match="the connection to host:1 on which it was given has ended"):
            proxy.__reduce_ex__(4)
    finally:
        context.references = None
    del proxy
    assert len(ends.references.garbage) == 1


def test_proxies_made_by_hand(ends: Ends) -> None:
    """A proxy that a script makes of a client and a number is one, but counts no receipts."""
    calls: Any = ends.references.maker
    client: Any = SimpleNamespace(
        _easycluster_calls=SimpleNamespace(new_proxy_state=partial(ProxyState, calls, ends.references))
    )
    proxy = RemoteProxy(client, 12)

    assert (proxy.proxy_object_id, repr(proxy)) == (12, "<RemoteProxy for oid 12 on host:1>")
    assert proxy.proxy_connection == "the client"
    del proxy
    assert not ends.references.garbage
