"""Methods of server objects as values: which are the server's, and what they are at both ends."""

from __future__ import annotations

import io
from functools import partial
from types import MethodType
from typing import Any

import pytest

from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import DefaultRemoteProxy, FileProxy
from easycluster_protocol._objects.proxy_methods import find_method, find_refused_method, reduce_method
from helpers.fake_proxies import NAMES, State, make, sent


def test_which_methods_are_the_servers() -> None:
    """A bound method is that of the object if the proxy forwards it; the function of another class is not."""

    class Mine(RemoteProxy):
        proxy_methods = ("f", "g", "__len__")

        def g(self) -> None:
            """Local."""

    proxy: Any = make(Mine)
    of_a_list: Any = [].append

    assert reduce_method(proxy.f) == (find_method, (proxy, "f"))
    assert reduce_method(proxy.__len__) == (find_method, (proxy, "__len__"))
    assert reduce_method(proxy.g) is None
    assert reduce_method(proxy.raw_call_method) is None
    assert reduce_method(of_a_list) is None


def test_bound_methods_without_a_name() -> None:
    """Whatever can be bound to an object can be a method, also a callable that has no name."""
    method = MethodType(partial(max, 3), 5)

    assert not hasattr(method, "__name__")
    assert reduce_method(method) is None


def test_methods_as_values() -> None:
    """A method of a proxy can be called later, knows its proxy, and is the object's own on the server."""
    proxy = make(NAMES)
    method = find_method(proxy, "method")

    assert method(1, x=2) == "answer"
    assert (method.__self__, method.__name__) == (proxy, "method")
    assert repr(method) == "<method method of <RemoteProxy for oid 7 on host:1>>"
    assert sent(proxy) == [("method", (1,), {"x": 2})]
    assert find_method("abc", "upper")() == "ABC"


def test_refused_methods_as_values() -> None:
    """A method that is an attribute refuses on the client, and is the object's own again on the server."""
    proxy: Any = DefaultRemoteProxy.__new__(DefaultRemoteProxy)
    object.__setattr__(proxy, "_easycluster_state", State(7))
    method = find_refused_method(proxy, "fileno")

    with pytest.raises(io.UnsupportedOperation):
        method()
    assert reduce_method(make(FileProxy).fileno)[0] is find_method  # type: ignore[index]
    assert repr(method) == "<method fileno of <RemoteProxy for oid 7 on host:1>>"
    function, args = method.__reduce__()
    assert args == (proxy, "fileno")
    assert function("abc", "upper")() == "ABC"
