"""A hostile server: its descriptions of objects never reach anything outside their proxies."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from easycluster_protocol._objects.operators import OPERATORS, can_be_exported
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import (
    _MAX_NAMES,
    DefaultRemoteProxy,
    SelfIterProxy,
    make_proxy_class,
)
from helpers.fake_proxies import State, make, sent

#: What a server may say of its objects that describes no proxy.
MALICIOUS: list[Any] = [
    int,
    "os.system",
    None,
    5,
    (),
    ((),),
    (1, 2, 3, 4),
    (([],), (), (), False),
    (("f",), (), (), False, "more"),
    print,
]


@pytest.mark.parametrize(
    "name",
    [
        "__class__",
        "__init__",
        "__new__",
        "__del__",
        "__dict__",
        "__reduce__",
        "__reduce_ex__",
        "__getattribute__",
        "__setattr__",
        "__init_subclass__",
        "__doc__",
        "_easycluster_state",
        "raw_call_method",
        "proxy_connection",
        "proxy_methods",
        "two words",
        "a.b",
        "",
    ],
)
@pytest.mark.parametrize("place", range(3), ids=["methods", "attrs", "cached"])
def test_malicious_names(name: str, place: int) -> None:
    """A server that describes hooks, our own names or no names at all gets no proxy, and nothing is changed."""
    before = {kind: dict(vars(kind)) for kind in (RemoteProxy, DefaultRemoteProxy, SelfIterProxy)}
    descriptor: list[Any] = [(), (), (), False]
    descriptor[place] = ("fine", name)

    with pytest.raises(TypeError, match=f"cannot have a remote attribute named {name!r}"):
        make_proxy_class(tuple(descriptor))

    assert {kind: dict(vars(kind)) for kind in before} == before


@pytest.mark.parametrize("descriptor", MALICIOUS, ids=repr)
def test_malicious_descriptors(descriptor: Any) -> None:
    """A description of anything else than a proxy raises `TypeError`; nothing is called or instantiated."""
    with pytest.raises(TypeError):
        make_proxy_class(descriptor)


def test_attributes_the_server_makes_up() -> None:
    """No exported name replaces a name of the proxy's own workings or of its class."""
    proxy = make((("method", "client", "call"), ("oid", "cache"), (), False))

    assert make_proxy_class((("f",), (), (), True)).__reduce_ex__ is vars(RemoteProxy)["__reduce_ex__"]
    assert (proxy.proxy_object_id, proxy.proxy_connection) == (7, None)
    assert proxy.oid == "answer"
    assert isinstance(proxy._easycluster_state, State)


class Text(str):
    """Answers as it likes to what it is asked."""

    __slots__ = ()

    def isidentifier(self) -> bool:
        return True

    def startswith(self, *_: Any) -> bool:
        return False


@pytest.mark.parametrize(
    "names",
    [(Text("__class__"),), (Text("f"),), (1,), (None,), (("f",),), ("f", b"g"), ["f"], "f", None, {"f": 1}],
    ids=repr,
)
@pytest.mark.parametrize("place", range(3), ids=["methods", "attrs", "cached"])
def test_names_that_are_no_texts(names: Any, place: int) -> None:
    """Only plain texts in tuples are names."""
    descriptor: list[Any] = [(), (), (), False]
    descriptor[place] = names

    with pytest.raises(TypeError, match="a server object exports "):
        make_proxy_class(tuple(descriptor))


def test_huge_descriptors() -> None:
    """More names than any class has are refused before a class is made of them."""
    with pytest.raises(TypeError, match=f"tuples of {_MAX_NAMES} names at most"):
        make_proxy_class((tuple(f"f{number}" for number in range(_MAX_NAMES)), ("g",), (), False))
    with pytest.raises(TypeError, match="must derive from RemoteProxy") as caught:
        make_proxy_class(("x" * 1000,) * 100)
    assert len(str(caught.value)) < 500


def test_the_largest_descriptor() -> None:
    """A class with as many names as are allowed works."""
    proxy = make((tuple(f"f{number}" for number in range(_MAX_NAMES)), (), (), False))

    assert proxy.f7() == "answer"
    assert sent(proxy) == [("f7", (), {})]


#: Special names that are no operators.
HOOKS = sorted(
    {name for kind in (object, type, int, list, dict, type(len), type(sys)) for name in dir(kind)}.union(
        [
            "__del__",
            "__get__",
            "__set__",
            "__set_name__",
            "__slots__",
            "__getattr__",
            "__copy__",
            "__deepcopy__",
            "__getstate__",
            "__setstate__",
            "__getnewargs_ex__",
            "__instancecheck__",
            "__await__",
            "__aiter__",
            "__fspath__",
            "__mro_entries__",
            "__class_getitem__",
            "__prepare__",
            "__array__",
            "__buffer__",
        ]
    )
    - OPERATORS
)
HOOKS = [name for name in HOOKS if name.startswith("__")]


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(name: str) -> None:
    """Of Python's special names only operators can be exported: no hook of classes, pickling, copying or importing."""
    assert not can_be_exported(name)
    with pytest.raises(
        TypeError, match="cannot have a remote attribute .*; give it another name on the server"
    ):
        make_proxy_class(((name,), (), (), True))


def test_operators_of_one_proxy_only() -> None:
    """A proxy with every operator there is answers for itself; other proxies and the base classes are as before."""
    before = {kind: dict(vars(kind)) for kind in (RemoteProxy, DefaultRemoteProxy, SelfIterProxy)}
    everything, nothing = make((tuple(sorted(OPERATORS)), (), (), True)), make(((), (), (), False))

    assert everything + 1 == "answer"
    assert {kind: dict(vars(kind)) for kind in before} == before
    assert object.__repr__(nothing).startswith("<easycluster_protocol")
    with pytest.raises(TypeError):
        _ = nothing + 1
    assert isinstance(everything._easycluster_state, State)
    assert everything.__reduce_ex__.__func__ is vars(RemoteProxy)["__reduce_ex__"]
