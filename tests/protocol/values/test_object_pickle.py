"""Pickling on a server: server objects become numbers, all else is pickled as always."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol._objects.exports import ServerObject, make_singleton
from easycluster_protocol._objects.proxy_classes import RemoteIterator, SelfIterProxy
from easycluster_protocol._values.object_pickle import dumps_result, loads_result
from helpers.fake_proxies import Numbers, answering
from helpers.states import registrations_restored


class Thing(ServerObject):
    """A server object."""


class Fails:
    """Cannot be pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("half way")


@pytest.mark.parametrize("by_identity", [False, True], ids=["by type", "by identity"])
@pytest.mark.parametrize("protocol", [4, 5])
def test_results(by_identity: bool, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Server objects in a result become proxies wherever they stand; either way of pickling names them the same."""
    monkeypatch.setattr("easycluster_protocol._values.object_pickle.can_any_value_stay", lambda: by_identity)
    iterator = RemoteIterator(iter("ab"))

    body, buffers, named = dumps_result(
        {"a": [1, (iterator, {iterator})], "b": iterator}, protocol, Numbers()
    )
    with answering():
        value = loads_result(body, buffers)

    assert list(named) == [8]
    ((one, (two, three)),) = (value["a"],)
    assert (one, three) == (1, {two})
    assert value["b"] is two
    assert type(two) is SelfIterProxy
    assert repr(two) == "<RemoteProxy for oid 8 on host:1>"


@pytest.mark.parametrize("protocol", [4, 5])
def test_values_without_objects(protocol: int) -> None:
    """A value that holds no server object arrives as it was, and names nothing."""
    value = {"data": bytearray(OUT_OF_BAND_BYTES), "list": [1, (2.5, "x")]}

    body, buffers, named = dumps_result(value, protocol, Numbers())

    assert list(named) == []
    assert loads_result(body, buffers) == value


@pytest.mark.parametrize("protocol", [4, 5])
def test_large_buffers_beside_objects(protocol: int) -> None:
    """Large buffers travel beside a result with server objects, too."""
    value = [Thing(), pickle.PickleBuffer(bytearray(OUT_OF_BAND_BYTES)) if protocol == 5 else b"x"]

    body, buffers, named = dumps_result(value, protocol, Numbers())

    assert (len(buffers), list(named)) == (protocol - 4, [8])
    with answering():
        _, received = loads_result(body, [bytearray(buffer) for buffer in buffers])
    assert len(received) == (OUT_OF_BAND_BYTES if protocol == 5 else 1)


def test_a_singleton_of_any_type() -> None:
    """A list that was made a singleton becomes a number; an equal list is copied."""
    with registrations_restored():
        single = make_singleton(["single"])
        body, buffers, named = dumps_result([single, ["single"]], 5, Numbers())
        with answering():
            proxy, copy = loads_result(body, buffers)

    assert list(named) == [8]
    assert (proxy.proxy_object_id, copy) == (8, ["single"])


def test_a_result_that_cannot_be_pickled() -> None:
    """The receipts of a result that is not sent are given back, and its error is raised."""
    objects = Numbers()

    with pytest.raises(ValueError, match="half way"):
        dumps_result([Thing(), Fails()], 5, objects)

    assert objects.given_back == [8]


def test_another_pickler() -> None:
    """A function that makes the pickle instead gets the objects, and the numbers in this pickle."""
    objects, seen = Numbers(), list[Any]()

    def dumps(value: Any, protocol: int, buffer_callback: Any = None, **rest: Any) -> bytes:
        seen.append((value, rest["objects"], dict(rest["listed"])))
        rest["listed"][3] = None
        return pickle.dumps(value, protocol)

    body, buffers, named = dumps_result("value", 5, objects, dumps)

    assert (pickle.loads(body), list(buffers), list(named)) == ("value", [], [3])
    assert seen == [("value", objects, {})]
