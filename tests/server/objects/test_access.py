"""Clients may use what the class of a server object exports, and nothing else; integration tests have the proxies."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._objects.exports import ServerObject, make_server_class
from easycluster_protocol._objects.proxy_classes import RemoteIterator
from easycluster_protocol._objects.proxy_methods import ProxyMethod
from easycluster_server import _objects
from easycluster_server._objects.access import delete_attribute, get_attribute, get_method, set_attribute
from helpers.states import registrations_restored


class Open(ServerObject):
    """Exports all methods, and any attribute."""

    kind = "open"

    def __init__(self) -> None:
        self.value = 1
        self.function = len

    def method(self, number: int) -> int:
        return number + self.value

    @staticmethod
    def static() -> str:
        return "static"

    @property
    def computed(self) -> int:
        return self.value * 2

    @property
    def failing(self) -> int:
        raise KeyError("in the property")


class Strict(ServerObject):
    """Exports a few names."""

    export_methods = "method"
    export_attrs = "value"
    export_attrs_cache = "constant"

    def __init__(self) -> None:
        self.value = 1
        self.constant = 2
        self.secret = 3

    def method(self) -> str:
        return "method"

    def other(self) -> str:
        return "other"


class Items(ServerObject):
    """Has iterators, of its own kind and of others."""

    export_methods = ("__iter__", "__reversed__", "__len__")

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])

    def __reversed__(self) -> Any:
        return self.own

    def __len__(self) -> int:
        return 2

    def __init__(self) -> None:
        self.own = Open()


# Methods.


@pytest.mark.parametrize(("name", "arguments", "value"), [("method", (1,), 2), ("static", (), "static")])
def test_methods(name: str, arguments: tuple[int, ...], value: object) -> None:
    """A method that the class exports is the bound method of the object."""
    assert get_method(Open(), name)(*arguments) == value


@pytest.mark.parametrize("name", ["value", "constant"])
def test_attributes_may_be_called(name: str) -> None:
    """An exported attribute may be called as a method: what comes of it is up to the value."""
    owner = Strict()
    setattr(owner, name, lambda: "called")

    assert get_method(owner, name)() == "called"


@pytest.mark.parametrize(
    "name", ["other", "secret", "missing", "__init__", "__class__", "__dict__", "__len__"]
)
def test_methods_that_are_not_exported(name: str) -> None:
    """Other names are refused, whether the object has them or not; the message names what is exported."""
    with pytest.raises(AttributeError) as caught:
        get_method(Strict(), name)

    assert str(caught.value) == (
        f"'Strict' object on the server does not export {name!r}; it exports the methods method"
        " and the attributes constant, value"
    )


@pytest.mark.parametrize(
    "name", ["__init__", "__class__", "__getattribute__", "__reduce__", "__subclasshook__"]
)
def test_special_methods_are_not_any_attribute(name: str) -> None:
    """That any attribute may be asked for does not open the special methods."""
    with pytest.raises(AttributeError, match=f"does not export {name!r}"):
        get_method(Open(), name)


@pytest.mark.parametrize("use", [get_method, get_attribute, delete_attribute])
def test_objects_that_export_nothing(use: Any) -> None:
    """An object of a class that is no server class cannot be used, whatever its number is."""
    with pytest.raises(
        TypeError, match="a list is not a server object: it exports nothing; make_server_class"
    ):
        use([], "append")


# Iterators.


def test_iterators_stay() -> None:
    """An iterator over a server object stays on the server, or its copy would be made of the proxy."""
    iterator = get_method(Items(), "__iter__")()

    assert type(iterator) is RemoteIterator
    assert list(iter(iterator.__next__, 2)) == [1]


def test_iterators_that_stay_anyway() -> None:
    """An iterator that is a server object itself is passed on as it is."""
    items = Items()

    assert get_method(items, "__reversed__")() is items.own


def test_other_special_methods() -> None:
    """An exported special method that makes no iterator is the method itself."""
    assert get_method(Items(), "__len__")() == 2


# Attributes.


@pytest.mark.parametrize(
    ("name", "value"), [("value", 1), ("kind", "open"), ("computed", 2), ("function", len)]
)
def test_getting_attributes(name: str, value: object) -> None:
    """Attributes of the object and of its class, and properties, have their values; functions among them too."""
    assert get_attribute(Open(), name) == value


def test_getting_methods() -> None:
    """A method that is got as an attribute is one that the client can call later."""
    owner = Open()
    method = get_attribute(owner, "method")

    assert type(method) is ProxyMethod
    assert type(get_attribute(owner, "static")) is ProxyMethod
    assert type(get_attribute(Strict(), "method")) is ProxyMethod


def test_functions_of_modules() -> None:
    """In a module that stays every function is a method, and the rest are attributes."""
    module: Any = types.ModuleType("ec_module")
    module.function, module.value = len, 3
    with registrations_restored():
        make_server_class(types.ModuleType)

        assert type(get_attribute(module, "function")) is ProxyMethod
        assert get_attribute(module, "value") == 3


@pytest.mark.parametrize("name", ["__dict__", "__module__", "__doc__"])
def test_special_attributes_that_are_data(name: str) -> None:
    """Where any attribute may be asked for, special ones that are no methods may be got."""
    owner = Open()

    assert get_attribute(owner, name) == getattr(owner, name)


@pytest.mark.parametrize("name", ["__class__", "__init__", "__reduce_ex__", "__missing_name__"])
def test_special_attributes_that_are_not(name: str) -> None:
    """Special methods, classes and names that nobody has are refused."""
    with pytest.raises(AttributeError, match=f"does not export {name!r}"):
        get_attribute(Open(), name)


@pytest.mark.parametrize("name", ["secret", "other", "__dict__", "__module__"])
def test_attributes_that_are_not_exported(name: str) -> None:
    """A class that names its attributes exports no other, special ones neither."""
    owner = Strict()
    before = dict(vars(owner))
    for use in (
        lambda: get_attribute(owner, name),
        lambda: set_attribute(owner, name, 0),
        lambda: delete_attribute(owner, name),
    ):
        with pytest.raises(AttributeError, match=f"does not export {name!r}"):
            use()

    assert vars(owner) == before


def test_errors_of_the_object() -> None:
    """What an attribute raises is raised; one that is exported and missing is missing."""
    with pytest.raises(KeyError, match="in the property"):
        get_attribute(Open(), "failing")
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        get_attribute(Open(), "missing")
    with pytest.raises(AttributeError):
        set_attribute(Open(), "computed", 1)


@pytest.mark.parametrize("name", ["value", "constant"])
def test_setting_and_deleting(name: str) -> None:
    """Exported attributes can be set and deleted, those that never change for a client too."""
    owner: Any = Strict()
    set_attribute(owner, name, "new")
    assert getattr(owner, name) == "new"
    delete_attribute(owner, name)
    assert not hasattr(owner, name)


@pytest.mark.parametrize("name", ["method", "__class__", "__dict__"])
def test_methods_cannot_be_set(name: str) -> None:
    """That a method may be called does not mean that it may be replaced; nor may special attributes."""
    owner = Strict() if name == "method" else Open()
    with pytest.raises(AttributeError, match="does not export"):
        set_attribute(owner, name, None)
    with pytest.raises(AttributeError, match="does not export"):
        delete_attribute(owner, name)


# The package, which is imported with the first server object.


def test_all_that_server_objects_take() -> None:
    """The package offers the functions of this module, and the table in which arguments find objects."""
    assert _objects.get_method is get_method
    assert _objects.get_attribute is get_attribute
    assert _objects.set_attribute is set_attribute
    assert _objects.delete_attribute is delete_attribute
    assert set(_objects.__all__) <= set(vars(_objects))
