"""Values that came by value go back: the receiver's classes stay as they are, code is for one version of Python."""

from __future__ import annotations

import enum
import gc
import subprocess
import sys
import threading
import weakref
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from easycluster_protocol._types import Dumps
from easycluster_protocol._values import by_value
from easycluster_protocol._values.serialize import dumps, find_dumps_by_value, loads
from helpers.fake_proxies import NAMES, make as make_proxy
from helpers.states import forget_exports

cloudpickle = import_module("cloudpickle")  # it has no types


def dumps_by_value() -> Dumps:
    """The function that pickles by value, which exists once cloudpickle has been imported."""
    found = find_dumps_by_value()
    assert found is not None
    return found


def back(value: Any, protocol: int = 5) -> Any:
    """The value that the receiver gets when one goes back by value."""
    body, buffers = dumps(value, protocol, dumps_by_value())
    return loads(body, buffers=buffers)


@pytest.fixture
def counter() -> Any:
    """A class that exists only here, with a method that counts in a variable of its module."""
    module: Any = ModuleType("ec_only_here")
    exec(
        "count = 0\n"
        "class Counter:\n"
        "    tag = 'mine'\n"
        "    def bump(self):\n"
        "        global count\n"
        "        count += 1\n",
        vars(module),
    )
    return module


def test_no_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing came by value, nothing can go back so; nor while cloudpickle is being imported."""
    assert find_dumps_by_value() is by_value.make_dumps_for_result(cloudpickle)
    monkeypatch.delitem(sys.modules, "cloudpickle")
    assert find_dumps_by_value() is None
    monkeypatch.setitem(sys.modules, "cloudpickle", ModuleType("cloudpickle"))
    assert find_dumps_by_value() is None


def test_cloudpickle_without_reducer() -> None:
    """On PyPy, where cloudpickle is made otherwise, it is used as it is."""
    plain: Any = SimpleNamespace(Pickler=object, dumps=object())

    assert by_value.make_dumps_for_result(plain) is plain.dumps
    assert by_value.make_dumps_for_call(plain) is plain.dumps


def test_methods_in_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a call the method of a proxy becomes that of the object, and any other method goes with its function."""
    monkeypatch.setattr(by_value, "reduce_method", lambda method: (str, (method.__name__,)))
    proxy: Any = make_proxy(NAMES)
    call_dumps = by_value.make_dumps_for_call(cloudpickle)
    of_proxy = loads(dumps([proxy.method], 5, call_dumps)[0])
    monkeypatch.undo()

    class Thing:
        def value(self) -> int:
            return 7

    of_thing, function = loads(dumps([Thing().value, abs], 5, call_dumps)[0])

    assert of_proxy == ["method"]
    assert of_thing() == 7
    assert function is abs


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_class_that_is_known_stays(counter: Any, protocol: int) -> None:
    """An instance comes back as one of the class it was, whose methods are still its own."""
    method = counter.Counter.bump
    instance = back(counter.Counter(), protocol)

    assert type(instance) is counter.Counter
    assert counter.Counter.bump is method
    instance.bump()
    assert counter.count == 1


def test_changes_at_the_other_end_stay_there(counter: Any) -> None:
    """A change of the class at the other end does not change it here."""
    counter.Counter.tag = "theirs"
    body, _ = dumps(counter.Counter(), 5, dumps_by_value())
    counter.Counter.tag = "mine"

    assert type(loads(body)).tag == counter.Counter.tag == "mine"


def test_a_class_that_is_new(counter: Any) -> None:
    """A class that the receiver does not have comes whole, once."""
    body, _ = dumps([counter.Counter(), counter.Counter], 5, dumps_by_value())
    script = (
        "import pickle, sys\n"
        "body = sys.stdin.buffer.read()\n"
        "(one, kind), (other, _) = pickle.loads(body), pickle.loads(body)\n"
        "assert type(one) is type(other) is kind\n"
        "one.bump(), other.bump()\n"
        "from easycluster_protocol._values import by_value\n"
        "print(kind.tag, kind.bump.__globals__['count'], by_value._unfilled)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], input=body, capture_output=True, check=True)

    assert result.stdout == b"mine 2 set()\n"


def test_a_class_that_is_no_more(counter: Any) -> None:
    """A class that was deleted here while its instance was away is made again."""
    body, _ = dumps(counter.Counter(), 5, dumps_by_value())
    before = weakref.ref(counter.Counter)
    del counter.Counter
    forget_exports()
    gc.collect()
    assert before() is None

    instance, another = loads(body), loads(body)
    instance.bump()
    another.bump()

    assert type(instance) is type(another)
    assert type(instance).bump.__globals__["count"] == 2
    assert not by_value._unfilled


def test_classes_of_classes() -> None:
    """Enumerations, exceptions, classes with bases, slots and references to themselves come back as they are."""

    class Colour(enum.Enum):
        RED = 1

    class Failure(Exception):
        pass

    class Base:
        __slots__ = ("value",)
        value: Any

    class Derived(Base):
        def kind(self) -> Any:
            return Derived

    derived = Derived()
    derived.value = Colour.RED
    failure = Failure("no")
    found = back([derived, failure, Colour, Derived])

    assert type(found[0]) is found[3] is found[0].kind() is Derived
    assert found[0].value is Colour.RED
    assert (type(found[1]), found[1].args, found[2]) == (Failure, ("no",), Colour)


def test_functions() -> None:
    """Functions come back as copies that do the same: closures, defaults, recursion."""
    factor = 3

    def scaled(value: int, *, plus: int = 1) -> int:
        return factor * value + plus

    def depth(value: int) -> int:
        return value and 1 + depth(value - 1)

    assert back(scaled)(2) == 7
    assert back(depth)(4) == 4
    assert back(len) is len


@pytest.mark.parametrize("tag", ["cpython-399", "cpython-27"])
def test_code_of_another_python(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that another version of Python compiled, newer or older, is refused: it is never run."""
    monkeypatch.setattr(by_value, "_CACHE_TAG", tag)
    body, _ = dumps(lambda: None, 5, dumps_by_value())
    monkeypatch.undo()

    with pytest.raises(ValueError, match=f"a function that {tag} compiled cannot run on cpython-3"):
        loads(body)


def test_large_buffers_travel_beside() -> None:
    """Large buffers travel beside the pickle in this way, too."""

    class Holder:
        def __init__(self, data: bytearray) -> None:
            self.data = data

        def __reduce_ex__(self, protocol: Any) -> Any:
            import pickle

            return type(self), (pickle.PickleBuffer(self.data),)

    body, buffers = dumps(Holder(bytearray(1 << 20)), 5, dumps_by_value())

    assert [len(buffer) for buffer in buffers] == [1 << 20]
    assert len(body) < 1 << 16


def test_by_threads_at_once() -> None:
    """Threads that rebuild the same new class at once get one class, and it is whole."""

    def make() -> type:
        class New:
            def value(self) -> int:
                return 7

        return New

    classes = [make() for _ in range(20)]
    bodies = [dumps(cls(), 5, dumps_by_value())[0] for cls in classes]
    before = [weakref.ref(cls) for cls in classes]
    classes.clear()
    forget_exports()
    gc.collect()
    assert not any(reference() for reference in before)  # from here on the classes are new
    start = threading.Barrier(4)
    found: list[Any] = []
    errors: list[BaseException] = []

    def rebuild() -> None:
        try:
            start.wait()
            found.append([loads(body) for body in bodies])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=rebuild) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    for same in zip(*found, strict=True):
        assert len({type(each) for each in same}) == 1
        assert [each.value() for each in same] == [7] * 4
