"""Server objects, their proxies and the methods of these as arguments, results and ends of generators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from easycluster import define_common
from easycluster_protocol._limits import MAX_TABLE_ENTRIES
from easycluster_protocol.errors import DeserializationError
from helpers.server_objects import kept, kind_of

TLS_TOO = True

pytestmark = pytest.mark.usefixtures("object_definitions")

MORE = """
def ending(value):
    yield 1
    return value

def is_method(method, thing):
    return method.__self__ is thing and method.__func__ is type(thing).itself

class Listed(Thing):
    export_methods = ('itself',)
    export_attrs = ('value',)

class Holder(ServerObject):
    pass

unreadable = NotThere()
"""


def end_of(generator: Any) -> Any:
    """The value with which a generator of the server ends, as ``yield from`` gives it."""
    found: list[Any] = []

    def outer() -> Iterator[Any]:
        found.append((yield from generator))

    assert list(outer()) == [1]
    return found[0]


@pytest.mark.parametrize("value", [5, None, (1, 2), (), "text", [{"a": (1,)}], b"x" * 100_000], ids=repr)
def test_values_of_generators(near: Any, value: Any) -> None:
    """What a generator returns is the value of ``yield from`` its proxy."""
    assert end_of(near.ending(value)) == value


def test_objects_that_generators_return(far: Any) -> None:
    """A generator may return server objects, and what goes by value: the receipts of the end are given back as
    those of a result are."""
    thing, same = end_of(far.ending(far.Thing(3))), far.eval("same")

    assert thing.value == 3
    assert end_of(far.eval("ending([same, {'key': Thing(4)}])"))[0] is same
    function = end_of(far.call(lambda end: end(lambda: 7), far.ending.value))
    assert function() == 7
    del thing
    kept(far, 1)
    del same
    kept(far, 0)


def test_ends_that_cannot_be_sent(near: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be pickled costs those who only iterate nothing, and leaves nothing behind."""
    assert list(near.eval("ending([Thing(), Unpicklable()])")) == [1]
    assert "Unpicklable" in end_of(near.eval("ending(Unpicklable())"))
    assert list(near.eval("ending([Thing(), unreadable])")) == [1]
    kept(near, 0)

    assert capsys.readouterr().err == ""


def test_dropped_ends(near: Any) -> None:
    """An end that nobody looks at gives back what it names."""
    generator = near.eval("ending([Thing(), Thing()])")
    responses = [generator.__next__(nonblocking=True) for _ in range(2)]
    responses[1].read_response()
    near.eval("None")
    del responses, generator

    kept(near, 0)


@pytest.mark.parametrize("make", ["Thing", "Listed"])
def test_methods_as_arguments(far: Any, make: str) -> None:
    """A method of a proxy that is passed arrives as that of the object, by name and beside what goes by value."""
    thing = far.raw_call(make, [])
    same = thing.itself

    assert far.run(thing.itself) is thing
    assert far.is_method(thing.itself, thing)
    assert far.call(lambda function: function(), thing.itself) is thing
    assert (
        far.call(lambda functions: [each() for each in functions["key"]], {"key": [same, same]})
        == [thing] * 2
    )
    assert far.call(lambda method, owner: method.__self__ is owner, thing.itself, thing)


def test_methods_that_were_asked_for(far: Any) -> None:
    """So does one that the proxy had to ask for, as of a module."""
    module = far.eval("__import__('math')")

    assert far.run(far.eval("__import__('os')").getpid) == far.os.getpid()
    assert far.call(lambda function: function(16), module.sqrt) == 4.0


def test_local_methods_as_arguments(near: Any) -> None:
    """A method that a proxy class has itself is that of the object when that has one."""
    define_common(
        "class HomeProxy(RemoteProxy):\n    def home(self):\n        return 'here'\n"
        "class Home(ServerObject):\n    proxy_class = HomeProxy\n    def home(self):\n        return 'there'\n"
    )
    near.update_definitions()
    home = near.Home()

    assert (home.home(), near.run(home.home)) == ("here", "there")


def test_results_by_value(far: Any) -> None:
    """In a result that goes by value server objects and singletons of any type stay on the server, and no more
    receipts are counted than the client gives back."""
    far.execblock("make_singleton(singleton)\nheld = Thing(2)")

    def build() -> Any:
        import easycluster.remote_code as code

        inner = {"thing": code.held, "list": code.singleton, "copied": [1]}
        return [inner, lambda: 5, (code.singleton, code.Thing(3))]

    inner, function, (listed, thing) = far.call(build)
    assert (function(), inner["thing"].value, thing.value, inner["copied"]) == (5, 2, 3, [1])
    assert inner["list"] is listed
    listed.append(1)
    assert far.eval("(len(singleton), singleton is not None)") == (1, True)
    assert "RemoteProxy" in [each.__name__ for each in kind_of(listed).__mro__]
    assert far.eval("held") is inner["thing"]
    del inner, thing, listed
    kept(far, 0)


@pytest.mark.parametrize("count", [MAX_TABLE_ENTRIES, MAX_TABLE_ENTRIES + 1, 2 * MAX_TABLE_ENTRIES + 5])
def test_results_with_many_objects(near: Any, count: int) -> None:
    """A result may name more objects than a message has room for; each of them lives as long as its proxy."""
    things = near.things(count)
    assert (len(things), things[-1].value, things[MAX_TABLE_ENTRIES - 1].value) == (
        count,
        count - 1,
        MAX_TABLE_ENTRIES - 1,
    )
    kept(near, count)
    del things[3:]
    kept(near, 3)

    near.things(count, nonblocking=True)
    near.eval("None")
    kept(near, 3)
    with pytest.raises(DeserializationError):
        near.eval(f"things({count}) + [unreadable]")
    kept(near, 3)
    assert [thing.value for thing in things] == [0, 1, 2]
