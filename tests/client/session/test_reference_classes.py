"""Large classes of proxies, which are described once: whatever becomes of an answer, both ends agree."""

from __future__ import annotations

import threading
from pickle import UnpicklingError
from typing import Any

import pytest

from easycluster_client._session import references as references_module
from easycluster_protocol._objects.exports import CLASS_KNOWN
from easycluster_protocol._objects.proxies import RemoteProxy
from helpers.object_ends import Ends, Thing

#: Enough names for a number.
NAMES = tuple(f"method_{number}" for number in range(50))
DESCRIPTION = (NAMES, (), (), False, (), (), "device.Large")


class Large(Thing):
    """A server object of a large class."""

    export_methods = NAMES


class Other(Thing):
    """Another."""

    export_methods = (*NAMES, "other")


@pytest.fixture
def ends() -> Ends:
    """Both sides of the same objects."""
    return Ends()


def names(ends: Ends, value: Any) -> tuple[Any, Any]:
    """Return what the client makes of a value, and whether the answer listed the names of its class."""
    answer = ends.answer(value)
    return ends.rebuild(answer), b"method_49" in bytes(answer.body)


def test_described_once(ends: Ends) -> None:
    """An answer describes a class until the client has said that it knows it; each class has its own number."""
    first, was_described = names(ends, Large())
    assert was_described
    assert names(ends, Large())[1]  # nothing was said yet
    ends.give_back()

    second, was_described = names(ends, [Large(), {"deep": Large()}])
    assert not was_described
    assert type(second[0]) is type(second[1]["deep"]) is type(first)
    third, was_described = names(ends, [Other(), Large()])
    assert (was_described, type(third[0]) is type(first), type(third[1]) is type(first)) == (
        True,
        False,
        True,
    )
    ends.give_back()
    assert not names(ends, [Other(), Large()])[1]
    assert len(ends.answer(Large()).body) < 120


def test_answers_that_are_never_unpickled(ends: Ends) -> None:
    """An answer that is thrown away, damaged or lost has told the client nothing, so the next one does."""
    thrown_away = ends.answer(Large())
    del thrown_away
    with pytest.raises(UnpicklingError):
        ends.rebuild(ends.answer(Large(), body=b"damaged"))
    ends.send(Large())  # does not arrive
    ends.give_back()

    assert names(ends, Large())[1]
    ends.give_back()
    assert not names(ends, Large())[1]


def test_an_answer_that_is_unpickled_twice(ends: Ends) -> None:
    """The second time is as good as the first, also when the server gives only the number meanwhile."""
    answer = ends.answer(Large())
    first = ends.rebuild(answer)
    ends.give_back()
    again = ends.rebuild(answer)
    ends.give_back()

    assert type(again) is type(first)
    assert not names(ends, Large())[1]


def test_a_confirmation_that_an_interrupt_lost(ends: Ends) -> None:
    """The description comes again, and is confirmed again, also for an object that has its proxy."""
    large = Large()
    proxy = ends.loads(large)
    ends.references.garbage.clear()

    same, was_described = names(ends, large)
    assert same is proxy
    assert was_described
    ends.give_back()
    assert not names(ends, large)[1]


def test_confirmations_that_were_not_sent(ends: Ends) -> None:
    """They are kept for the next message."""
    ends.loads(Large())
    ends.references.keep_releases(ends.references.take_releases())
    assert names(ends, Large())[1]

    ends.give_back()
    assert not names(ends, Large())[1]


def test_several_threads(ends: Ends) -> None:
    """Answers that are unpickled at the same time make one class."""
    answers = [ends.answer(Large()) for _ in range(8)]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda answer=answer: found.append(ends.rebuild(answer)))
        for answer in answers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({type(proxy) for proxy in found}) == 1
    ends.give_back()
    assert not names(ends, Large())[1]


def test_another_connection(ends: Ends) -> None:
    """Numbers belong to one connection; a number that was not described is an error of that answer."""
    ends.loads(Large())
    ends.give_back()
    number_only = ends.answer(Large())

    other = Ends()
    with pytest.raises(TypeError, match="has not described class 1"):
        other.rebuild(number_only)
    assert names(other, Large())[1]


@pytest.mark.parametrize("number", [-1, 1 << 30, "1", True, 1.0])
def test_numbers_that_cannot_be(ends: Ends, number: Any) -> None:
    """A server cannot fill the client's memory with descriptions."""
    with pytest.raises(TypeError, match="the number of a server object's class cannot be"):
        ends.references.find_proxy(5, DESCRIPTION, number)
    assert not ends.references.garbage


def test_a_description_that_cannot_be_used(ends: Ends) -> None:
    """It is not confirmed."""
    with pytest.raises(TypeError):
        ends.references.find_proxy(5, (("__init__",), (), (), False), 1)
    assert not ends.references.garbage


def test_an_interrupt_while_a_class_is_learned(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class is confirmed only when it is known: a handler that raises before leaves all to the next answer."""

    def interrupted(descriptor: Any) -> type[RemoteProxy]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(references_module, "make_proxy_class", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ends.loads(Large())
    assert (CLASS_KNOWN + 1,) not in ends.references.garbage
    ends.give_back()

    assert names(ends, Large())[1]
