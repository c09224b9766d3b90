"""Named tuples and struct sequences: rebuilt by name where that can be done, else as equal tuples."""

from __future__ import annotations

import collections
import os
import pickle
import shutil
import subprocess
import sys
import time
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from easycluster_protocol._values.named_tuples import has_only_fields
from easycluster_protocol._values.object_pickle import NoObjects, pickle_objects
from easycluster_protocol._values.reductions import dumps_value

namedtuple: Any = collections.namedtuple  # noqa: PYI024 -- type checkers know only classes that are assigned

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


class Typed(NamedTuple):
    """Can be found by its name."""

    x: int
    y: Any = 2

    def double(self) -> int:
        """Return a number."""
        return 2 * self.x


class Subclass(namedtuple("Subclass", "a b")):  # type: ignore[misc]
    """Has attributes beside its fields."""


class Counted(namedtuple("Counted", "a b")):  # type: ignore[misc]
    """Has a way of its own to be pickled."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        return Counted, (self.a, self.b + 1)


def sent(value: Any, protocol: int = 5) -> Any:
    """The value that a client gets."""
    return pickle.loads(pickle_objects(value, protocol, objects=NoObjects, listed={}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        sys.version_info,
        sys.flags,
        sys.float_info,
        shutil.disk_usage("/"),
        os.stat("/"),
        os.terminal_size((80, 24)),
        os.times(),
        os.uname(),
        time.localtime(),
        Typed(1),
        Typed(1, Typed(2, [3])),
        namedtuple("Local", "a b")(1, 2),
        namedtuple("Odd", "a class a", rename=True)(1, 2, 3),
        namedtuple("Empty", "")(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_equal_with_the_same_fields(value: Any, protocol: int) -> None:
    """Whatever the class, an equal tuple arrives that has its fields; it can be sent on."""
    for copy in (sent(value, protocol), sent(sent(value, protocol), protocol)):
        assert copy == value
        assert tuple(copy) == tuple(value)
        assert repr(copy).partition("(")[2] == repr(value).partition("(")[2]
        for name in dir(value):
            if name[:2] != "n_" and name[0] != "_" and not callable(getattr(value, name)):
                assert getattr(copy, name) == getattr(value, name), name


def test_classes_with_names_stay() -> None:
    """A class that is found by its name is used, with its methods, its attributes and its own way of pickling."""
    assert type(sent(Typed(4))) is Typed
    assert sent(Typed(4)).double() == 8
    held = Subclass(1, 2)
    held.more = [held]
    copy = sent(held)
    assert type(copy) is Subclass
    assert copy.more[0] is copy
    assert sent(Counted(1, 2)) == (1, 3)
    assert type(sent(time.localtime())) is time.struct_time
    assert sent([held] * 2)[1] is not held


def test_the_same_stays_the_same() -> None:
    """A tuple that stands twice in a value is one object at the receiver, too."""
    usage = shutil.disk_usage("/")

    one, two = sent([usage, usage])

    assert one is two


@pytest.mark.parametrize("made_here", [True, False])
def test_a_receiver_without_the_class(made_here: bool) -> None:
    """A receiver that lacks the module, or its class, gets an equal tuple with the fields and what else it had."""
    value = [Typed(5, "y"), Subclass(1, 2)]
    vars(value[1])["more"] = "attribute"
    body = pickle_objects(value, 4, objects=NoObjects, listed={}) if made_here else dumps_value(value, 4)
    script = (
        "import pickle, sys\n"
        "typed, other = pickle.loads(sys.stdin.buffer.read())\n"
        "print(typed, typed == (5, 'y'), typed.y, type(typed).__module__, other, other.more)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], input=body, capture_output=True, check=True, cwd="/"
    )

    printed = result.stdout.decode().strip()
    assert printed == f"Typed(x=5, y='y') True y {__name__} Subclass(a=1, b=2) attribute"


def test_a_struct_with_other_fields() -> None:
    """Where the class here needs more items than came, as that of another Python may, the fields are those that came."""
    body = dumps_value(time.localtime(0), 4).replace(b"struct_time", b"sched_param"[:11])
    assert pickle.loads(body) == time.localtime(0)


def test_only_fields() -> None:
    """A class with methods of its own is not replaced: that would lose them."""
    plain = namedtuple("plain", "a b", defaults=[3])

    class Bare(NamedTuple):
        a: int
        b: int = 3

    class Method(NamedTuple):
        a: int

        def b(self) -> int:
            return self.a

    class Repr(NamedTuple):
        a: int

        def __repr__(self) -> str:
            return "another"

    assert [has_only_fields(each) for each in (plain, Bare)] == [True, True]
    assert [has_only_fields(each) for each in (Method, Repr, Subclass)] == [False] * 3


def test_clients_replace_no_class() -> None:
    """A local class of the master's goes by value, so that its tuples are of that class on the host, too."""
    with pytest.raises((pickle.PicklingError, AttributeError)):
        dumps_value(namedtuple("Local", "a b")(1, 2), 4)


def test_tuples_without_fields() -> None:
    """What only looks like a named tuple is pickled in its own way."""
    assert sent(Strange([1])) == (1,)
    assert type(sent(Strange([1]))) is Strange


class Strange(tuple):  # type: ignore[type-arg]  # noqa: SLOT001
    """Has no names of fields under the name that they would have."""

    _fields = "nothing"


def test_class_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions may define a class again, with other fields: its tuples are those of the new class."""
    module = ModuleType("replaced_here")
    assert "replaced_here" not in sys.modules
    for fields in "x", "x y":
        cls: Any = namedtuple("Point", fields)
        cls.__module__ = module.__name__
        vars(module)["Point"] = cls
        monkeypatch.setitem(sys.modules, module.__name__, module)
        given = cls(*range(len(cls._fields)))
        copy = pickle.loads(dumps_value(given, 4))
        assert (type(copy), copy) == (cls, given)


def test_module_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuple is of the class itself as soon as its module is there."""
    cls: Any = namedtuple("Point", "x")
    cls.__module__ = "comes_later"
    module = ModuleType(cls.__module__)
    vars(module)["Point"] = cls
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, cls.__module__, module)
        pickled = dumps_value(cls(1), 4)
    assert type(pickle.loads(pickled)) is not cls
    monkeypatch.setitem(sys.modules, cls.__module__, module)
    assert type(pickle.loads(pickled)) is cls
