"""The state of objects is copied, also where a built-in type is a server class."""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._objects.exports import make_server_class, make_singleton
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._values.object_pickle import dumps_result, loads_result
from easycluster_protocol._values.states import States, has_state_of_its_own
from helpers.fake_proxies import Numbers, answering
from helpers.states import registrations_restored


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Classes and singletons that a test registers are forgotten after it."""
    with registrations_restored():
        yield


class Plain:
    """Its attributes are its state."""

    def __init__(self, values: Any) -> None:
        self.values = values


class Slotted(Plain):
    """Its state is a tuple of two dictionaries."""

    __slots__ = ("more",)


class Chosen(Plain):
    """Chooses its state."""

    def __getstate__(self) -> dict[str, Any]:
        return {"of": [self.values]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.values = state["of"].pop()


def through(value: Any) -> Any:
    """What arrives of a value."""
    body, buffers, _ = dumps_result(value, 5, Numbers())
    with answering():
        return loads_result(body, buffers)


@pytest.mark.parametrize("kind", [dict, list, set, frozenset, bytearray])
def test_attributes(kind: type) -> None:
    """An object arrives with its attributes, of which those stay whose type is a server class."""
    make_server_class(kind)
    slotted: Any = Slotted(kind())
    slotted.more = 5

    plain, (other, value) = through(Plain(kind())), (through(slotted), through(kind()))

    assert (type(plain), type(other), other.more) == (Plain, Slotted, 5)
    assert all(isinstance(each, RemoteProxy) for each in (plain.values, other.values, value))


@pytest.mark.parametrize("kind", [dict, list])
def test_states_of_their_own(kind: Any) -> None:
    """A state that a class chooses is copied with the containers in it."""
    make_server_class(kind)

    chosen = through(Chosen(kind()))
    partial = through(functools.partial(int, base=3))
    error = through(ValueError("text", kind()))

    assert (type(chosen), chosen.values) == (Chosen, kind())
    assert partial("21") == 7
    assert error.args == ("text", kind())
    assert dict(through({"a": 1}.items())) == {"a": 1}


def test_singletons_in_states() -> None:
    """A singleton stays wherever it stands."""
    single = make_singleton({"a": 1})

    chosen = through(Chosen(single))

    assert isinstance(chosen.values, RemoteProxy)


def test_notes() -> None:
    """Noted are containers alone, each with its identity; a reduction may be the name of a global."""
    plain, chosen = States(), States()
    state: dict[str, Any] = {"list": [1]}
    state["itself"] = state

    assert plain.note(Plain, "name") == "name"
    assert plain.note(Plain, (Plain, (), state)) == (Plain, (), state)
    chosen.note(Chosen, (Plain, ([2],), state, None))
    assert set(plain) == {id(state)}
    assert {id(state), id(state["list"])} < set(chosen)
    assert [2] in chosen.values()


@pytest.mark.parametrize(
    ("kind", "expected"), [(Plain, False), (Slotted, False), (Chosen, True), (collections.deque, True)]
)
def test_which_classes_have_a_state_of_their_own(kind: type, expected: bool) -> None:
    """Those that define a method of pickling."""
    assert has_state_of_its_own(kind) is expected
