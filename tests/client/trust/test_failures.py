"""Tests for easycluster_client._trust.failures."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from easycluster_client._trust import names
from easycluster_client._trust.failures import load_once, rebuild_link, unpack_exception
from easycluster_client._trust.policy import Policy
from easycluster_protocol._values.failures import pack_exception
from easycluster_protocol.errors import UnknownRemoteError
from helpers.malicious import called, link_of, name, pickled


def load(body: Any, level: int) -> Any:
    """Unpickle for a host that is trusted with its results only."""
    return names.load(Policy(), body, (), None, level)


def raised(error: BaseException) -> BaseException:
    """Return an exception as it is raised."""
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error", [ValueError("a", 5), OSError(2, "text", "file"), KeyError("x"), StopIteration(3)]
)
def test_built_in_exceptions(error: Exception) -> None:
    """Built-in exceptions are rebuilt, with the stack trace as their cause."""
    found, text = unpack_exception(load, pack_exception(raised(error), 4), "host")

    assert type(found) is type(error)
    assert found.args == error.args
    assert "Traceback" in text[0]
    assert found.__cause__ is not None


def test_chains() -> None:
    """Causes come along; notes too."""
    error = ValueError("second")
    error.__cause__ = KeyError("first")
    vars(error)["__notes__"] = ["note"]

    found, _ = unpack_exception(load, pack_exception(raised(error), 4), "host")

    assert isinstance(found.__cause__, KeyError)
    assert vars(found)["__notes__"] == ["note"]


def test_stand_ins() -> None:
    """What may not be rebuilt has a stand-in that says why."""
    link = link_of(pickled=pickled(called(name("os", "system"), "true")), attributes={"code": 5, "args": 1})

    error: Any = rebuild_link(load, link, 0)

    assert isinstance(error, UnknownRemoteError)
    assert error.args == ("text",)
    assert vars(error)["code"] == 5
    assert error.reason == "its pickle names os.system, and this connection has trust=results"
    assert rebuild_link(load, link_of(pickled=pickle.dumps(5)), 0) is not None
    with pytest.raises(ValueError, match="no exception"):
        rebuild_link(load, link, 9)


def test_bodies_are_loaded_once() -> None:
    """A body that a message has many times makes one exception."""
    pickled_error = pickled(called(name("builtins", "ValueError"), "text"))
    bodies = [pickled_error, bytes(bytearray(pickled_error)), pickled_error]
    once = load_once(load, {})

    first, equal, again = (once(body, 0) for body in bodies)

    assert first is again
    assert first is not equal
