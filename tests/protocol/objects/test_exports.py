"""The names that classes export, and those that are refused."""

from __future__ import annotations

import array
import collections
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._objects import exports as exports_module
from easycluster_protocol._objects.exports import (
    ServerObject,
    can_any_value_stay,
    find_exports,
    make_server_class,
    make_singleton,
)
from easycluster_protocol._objects.proxies import RemoteProxy
from helpers.states import registrations_restored


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Classes and singletons that a test registers are forgotten after it."""
    with registrations_restored():
        yield


def names_of(value: Any) -> tuple[set[str], set[str], set[str], bool]:
    """The methods, attributes and cached attributes that an object exports, and whether any other attribute."""
    exports = find_exports(value)
    assert exports is not None
    return set(exports.methods), set(exports.attrs), set(exports.cached), exports.any_attribute


class Everything(ServerObject):
    """Says nothing of what it exports."""

    constant = 3

    class Inner:
        """A class is no method."""

    def __init__(self) -> None:
        self.value = 1

    def __del__(self) -> None:
        """No method of clients."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __add__(self, other: Any) -> Any:
        return other

    def method(self) -> None:
        """A method."""

    @staticmethod
    def static() -> None:
        """A static method."""

    @classmethod
    def of_class(cls) -> None:
        """A class method."""

    @property
    def computed(self) -> int:
        """An attribute."""
        return 1


def test_plain_values_are_copied() -> None:
    """Values of other classes are no server objects, nor are the classes themselves."""
    for value in (1, "text", [1], {"a": 1}, None, object(), ServerObject, Everything, array.array):
        assert find_exports(value) is None


def test_auto() -> None:
    """By default all methods are exported, those of operators too, but no hooks; and any attribute may be asked for."""
    methods = {"__add__", "method", "static", "of_class"}

    assert names_of(Everything()) == (methods, set(), set(), True)


def test_names_and_sequences() -> None:
    """A setting is one name or a sequence of names, and nothing else is exported then."""

    class Named(Everything):
        export_methods = "method"
        export_attrs = ("computed", "constant")
        export_attrs_cache = "value"

    assert names_of(Named()) == ({"method"}, {"computed", "constant"}, {"value"}, False)


def test_auto_beside_names() -> None:
    """With ``@auto`` beside names both are exported, also a method that is made only when asked for."""

    class Both(Everything):
        export_methods = ("@auto", "made_later")
        export_attrs = ("value", "@auto")

    methods, attrs, _, any_attribute = names_of(Both())
    assert methods == {"__add__", "method", "static", "of_class", "made_later"}
    assert (attrs, any_attribute) == ({"value"}, True)


def test_subclasses_have_their_own() -> None:
    """A subclass of a class that was used already exports its own methods, or what it says itself."""

    class More(Everything):
        def another(self) -> None:
            """A method."""

    class Less(More):
        export_methods = ("another",)

    class LikeLess(Less):
        def not_exported(self) -> None:
            """Less says what is exported."""

    assert "another" not in names_of(Everything())[0]
    assert "another" in names_of(More())[0]
    assert names_of(Less())[0] == {"another"}
    assert names_of(LikeLess())[0] == {"another"}
    assert names_of(Everything())[0] == {"__add__", "method", "static", "of_class"}


def test_a_proxy_class_is_for_one_class() -> None:
    """A subclass that says itself what it exports has no proxy class of the class above, whose methods are others."""

    class Above(Everything):
        proxy_class = RemoteProxy
        export_attrs = ("value",)

    class Below(Above):
        export_methods = ("method",)

    above, below = find_exports(Above()), find_exports(Below())

    assert above is not None
    assert above.descriptor is RemoteProxy
    assert below is not None
    name = f"{__name__}.{Below.__qualname__}"
    assert below.descriptor == (("method",), ("value",), (), False, (), (), name)


def test_a_method_that_is_switched_off() -> None:
    """A method that a subclass sets to None is not exported."""

    class Off(Everything):
        method = None  # type: ignore[assignment]

    assert "method" not in names_of(Off())[0]


def test_operators_that_are_switched_off() -> None:
    """The value None switches an operator off, for subclasses too unless they define it; names other than those
    of operators, and the repr, are not switched off."""

    class Off(Everything):
        __add__ = __repr__ = __sizeof__ = method = None  # type: ignore[assignment]
        __eq__ = object.__eq__
        __hash__ = None  # type: ignore[assignment]

    class On(Off):
        def __add__(self, other: Any) -> Any:  # type: ignore[override]
            return other

    def off(value: Any) -> set[str]:
        exports = find_exports(value)
        assert exports is not None
        return set(exports.switched_off)

    assert off(Everything()) == set()
    assert off(Off()) == {"__add__", "__hash__"}
    assert off(On()) == {"__hash__"}
    assert "__add__" in names_of(On())[0]
    # Of the names that a class lists itself, and the hash together with the equality.
    for methods, expected in (("__add__", {"__add__"}), ("__eq__", {"__hash__"}), ("itself", set())):
        make_server_class(Off, export_methods=methods)
        assert off(Off()) == expected
        assert names_of(Off())[0] == {methods} - expected


@pytest.mark.parametrize(
    "name", ["__class__", "__init__", "__dict__", "__reduce__", "__getattribute__", "two words", "", "a.b", 5]
)
@pytest.mark.parametrize("setting", ["export_methods", "export_attrs", "export_attrs_cache"])
def test_what_cannot_be_exported(setting: str, name: Any) -> None:
    """Hooks, and names that are none, are refused with the class, the setting and the name."""
    kind = type("Wrong", (ServerObject,), {setting: ("fine", name)})

    with pytest.raises(TypeError, match=f"{setting} of Wrong holds {name!r}, which cannot be exported"):
        find_exports(kind())


def test_make_server_class() -> None:
    """Instances of a registered class and of its subclasses are server objects from then on."""

    class Plain:
        def method(self) -> None:
            """A method."""

    class Derived(Plain):
        def more(self) -> None:
            """A method."""

    assert find_exports(Plain()) is None
    assert find_exports(Derived()) is None
    make_server_class(Plain, export_attrs="x")

    assert names_of(Plain()) == ({"method"}, {"x"}, set(), False)
    assert names_of(Derived()) == ({"method", "more"}, {"x"}, set(), False)


def test_classes_of_extension_modules() -> None:
    """Built-in classes and those of extension modules can be registered, with their operators."""
    values: list[Any] = [array.array("B"), collections.deque()]
    for value in values:
        make_server_class(type(value))
        methods = names_of(value)[0]
        assert {"append", "__getitem__", "__len__", "__iter__"} <= methods
        assert not {"__init__", "__new__", "__reduce__", "__class_getitem__", "__getattribute__"} & methods


def test_common_classes() -> None:
    """Lists and their like can be registered, though pickling would not ask for them by itself."""
    assert not can_any_value_stay()
    make_server_class(list)

    assert can_any_value_stay()
    assert "append" in names_of([1])[0]


@pytest.mark.parametrize("kind", [object, type, int, str, tuple, type(None)])
def test_what_results_are_made_of(kind: type) -> None:
    """Classes of which every result is made are refused."""
    with pytest.raises(TypeError, match=f"the instances of {kind.__name__} cannot stay on the server"):
        make_server_class(kind)


def test_make_server_class_takes_classes() -> None:
    """An object is refused with what to use instead; a wrong name is refused at once."""
    with pytest.raises(TypeError, match=r"not \[\]: for one object use make_singleton\(\)"):
        make_server_class([])
    with pytest.raises(TypeError, match="export_methods of deque holds '__init__'"):
        make_server_class(collections.deque, export_methods=("__init__",))

    assert find_exports(collections.deque()) is None


def test_make_singleton() -> None:
    """The one object stays, even a list, and is returned; equal ones are copied."""
    values = [1, 2]

    assert make_singleton(values, export_methods=("append",)) is values
    assert names_of(values)[0] == {"append"}
    assert find_exports([1, 2]) is None
    assert can_any_value_stay()


@pytest.mark.parametrize("value", [None, True, 5, "text", b"", (), int], ids=repr)
def test_what_all_programs_share(value: Any) -> None:
    """An object that all programs share cannot be a singleton."""
    with pytest.raises(TypeError, match=r"cannot be a singleton: .*; (put it into|use make_server_class)"):
        make_singleton(value)
    assert not can_any_value_stay()


def test_classes_made_on_the_fly() -> None:
    """The exports of classes are forgotten when there are many classes, and found again."""
    sizes = []
    for number in range(exports_module._MAX_CACHED_CLASSES + 10):
        find_exports(type(f"Passing{number}", (), {})())
        sizes.append(len(exports_module._exports_by_class))

    assert max(sizes) == exports_module._MAX_CACHED_CLASSES
    assert names_of(Everything())[3]
