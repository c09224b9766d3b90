"""Objects that reduce to a name of the script's: cached and dispatching functions, types of `typing`, and others."""

from __future__ import annotations

import functools
import pickle
import sys
import typing
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from easycluster_protocol._values.by_value import make_dumps_for_call
from easycluster_protocol._values.only_here import reduce_name
from easycluster_protocol._values.serialize import dumps, loads

cloudpickle = import_module("cloudpickle")  # it has no types

SOURCE = """
import functools, typing

calls = []

@functools.lru_cache
def cached(x):
    calls.append(x)
    return 2 * x

cached.note = "own"

@functools.lru_cache(maxsize=None, typed=True)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

class Class:
    @functools.lru_cache(maxsize=3)
    def method(self, x):
        return x + 1
    @staticmethod
    @functools.lru_cache
    def static(x):
        return x + 2
    @functools.cached_property
    def once(self):
        return [5]

@functools.singledispatch
def kind(x):
    return "any"

@kind.register(int)
def _(x):
    return "int"

@kind.register(list)
def _(x):
    return [kind(each) for each in x]

UserId = typing.NewType("UserId", int)
P = typing.ParamSpec("P")

def annotated(x: UserId) -> UserId:
    return x + 1
"""


class Named:
    """Its objects are found by their names."""

    def __init__(self, name: str, module: str | None = None) -> None:
        self.name = name
        if module is not None:
            self.__module__ = module

    def __reduce__(self) -> str:
        return self.name


found_here = Named("found_here", __name__)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The ``__main__`` of a script."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    exec(compile(SOURCE, "script.py", "exec", dont_inherit=True), vars(module))
    return module


def there(value: Any) -> Any:
    """The value that the other end gets, where ``__main__`` has nothing."""
    body, buffers = dumps(value, 5, make_dumps_for_call(cloudpickle))
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        return loads(body, buffers=buffers)
    finally:
        sys.modules["__main__"] = main


def test_cached_functions(script: Any) -> None:
    """A cached function goes with its settings, its attributes and an empty cache; a recursive one calls its own."""
    assert script.cached(1) == 2
    cached, again = there([script.cached, script.cached])
    fibonacci = there(script.fibonacci)

    assert cached is again
    assert cached(4) == cached(4) == 8
    assert cached.cache_info()[:3] == (1, 1, 128)
    assert (cached.note, cached.__name__, cached.__module__) == ("own", "cached", "__main__")
    assert fibonacci(30) == 832040
    assert fibonacci.cache_parameters() == {"maxsize": None, "typed": True}
    assert fibonacci.cache_info().currsize == 31


def test_local_cached_functions() -> None:
    """So does one that was made in a function, with what it closes over."""
    offset = 10

    @functools.lru_cache
    def local(x: int) -> int:
        return x + offset

    assert there(local)(1) == 11


def test_methods_and_properties(script: Any) -> None:
    """A class with cached methods and properties goes by value."""
    cls = there(type("Sub", (script.Class,), {"__module__": "__main__"}))

    assert (cls().method(1), cls.static(1)) == (2, 3)
    one = cls()
    assert one.once is one.once


def test_dispatching_functions(script: Any) -> None:
    """A function that `functools.singledispatch` has made goes with its registry."""
    kind = there(script.kind)

    assert kind([1, "", [2]]) == ["int", "any", ["int"]]
    assert kind.dispatch(float)(0.5) == "any"


def test_types(script: Any) -> None:
    """Types that are made by a call go with their names."""
    user_id = there(script.UserId)

    assert (user_id.__name__, user_id.__module__, user_id.__supertype__) == ("UserId", "__main__", int)
    assert there(script.P).__name__ == "P"
    assert there(script.annotated)(3) == 4
    assert there(script.annotated).__annotations__["x"].__name__ == "UserId"


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="came with Python 3.12")
def test_type_aliases(script: Any) -> None:
    """So do aliases of types."""
    exec(compile("type Numbers[T] = list[T]", "more.py", "exec", dont_inherit=True), vars(script))

    alias = there(script.Numbers)

    assert (alias.__name__, str(alias[int].__value__)) == ("Numbers", "list[T]")


def test_by_name(script: Any) -> None:
    """What another process can find by its name goes by that."""
    assert there(found_here) is found_here
    assert there([len, functools.lru_cache]) == [len, functools.lru_cache]
    assert b"make_cached" not in dumps(there_is, 5, make_dumps_for_call(cloudpickle))[0]


@functools.lru_cache
def there_is(x: int) -> int:
    """Return its argument; it is in a module."""
    return x


def test_errors(script: Any) -> None:
    """What cannot be sent in any way is an error here, which says what to do."""
    script.thing = Named("thing", "__main__")

    for name, module in (
        ("thing", "__main__"),
        ("nowhere", None),
        ("gone", __name__),
        ("a.b", "not.imported"),
    ):
        with pytest.raises(
            pickle.PicklingError, match=rf"^Named objects .* '{name}' exists only in .*define_common"
        ):
            dumps(Named(name, module), 5, make_dumps_for_call(cloudpickle))
    with pytest.raises(pickle.PicklingError):
        reduce_name(object(), "name")
