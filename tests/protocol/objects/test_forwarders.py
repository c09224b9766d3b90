"""The attributes of proxies that forward to the server, and their kinds."""

from __future__ import annotations

import pytest

from easycluster_protocol._objects.forwarders import ATTRIBUTE, CACHED, ITEMS, METHOD, get_forwarded_kind
from easycluster_protocol._objects.proxies import RemoteProxy
from helpers.fake_proxies import NAMES, make, sent


def test_iteration_by_items() -> None:
    """An object with items and no iterator is iterated over by its items; one that has items alone by hand, or an
    iterator, is not."""

    class Local(RemoteProxy):
        def __getitem__(self, index: int) -> int:
            return [4, 5][index]

    proxy = make((("__getitem__",), (), (), False))
    assert list(proxy) == [0, 1]
    assert sent(proxy) == [("item", 0, {}), ("item", 1, {}), ("item", 2, {})]
    assert get_forwarded_kind(type(proxy), "__iter__") == ITEMS
    with pytest.raises(AttributeError, match="cannot be set: it is a method"):
        proxy.__iter__ = 5
    assert not hasattr(Local, "__iter__")
    both = make((("__getitem__", "__iter__"), (), (), False))
    assert get_forwarded_kind(type(both), "__iter__") == METHOD
    off = make((("__getitem__",), (), (), False, (), ("__iter__",)))
    with pytest.raises(TypeError, match="not iterable"):
        iter(off)


def test_kinds_of_names() -> None:
    """A name is that of a method, an attribute or a cached attribute, or no name that the proxy forwards."""
    cls = type(make(NAMES))

    assert [get_forwarded_kind(cls, name) for name in ("method", "__add__", "val", "constant")] == [
        METHOD,
        METHOD,
        ATTRIBUTE,
        CACHED,
    ]
    for name in ("nothing", "__init__", "raw_call_method", "__doc__"):
        assert get_forwarded_kind(cls, name) == ""


@pytest.mark.parametrize("any_attribute", [False, True])
def test_attributes_that_raise_attribute_errors(any_attribute: bool) -> None:
    """An AttributeError that the server raises for an exported attribute is raised, and it is asked once."""
    proxy = make((("getval",), ("val",), ("constant",), any_attribute))
    proxy._easycluster_state.answer = AttributeError("the instrument is off")

    for name in ("val", "constant", "val"):
        with pytest.raises(AttributeError, match="^the instrument is off$"):
            getattr(proxy, name)
    assert sent(proxy) == [("get", "val"), ("get", "constant"), ("get", "val")]
    proxy._easycluster_state.answer = 3
    assert proxy.val == 3
