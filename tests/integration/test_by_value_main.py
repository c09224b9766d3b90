"""What ``__main__`` and notebooks define, in masters whose ``__main__`` is a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.masters import Master, way_to_server


@pytest.fixture
def how(request: pytest.FixtureRequest, transport: Any) -> dict[str, Any]:
    """How a master connects, over each transport."""
    return way_to_server(request, transport.name, transport.server)


SCRIPT = """
import dataclasses, enum, traceback
from typing import NamedTuple

count = 0

class Shape:
    sides = 0
    def __init__(self, name):
        self.name = name
    def bump(self):
        global count
        count += 1
        return f"{self.name} {self.sides} {count}"

class Square(Shape):
    sides = 4
    def __init__(self, name, inner=None):
        super().__init__(name)
        self.inner = inner

class Pair(NamedTuple):
    left: int
    right: int

@dataclasses.dataclass
class Record:
    value: int
    pair: Pair

class Colour(enum.Enum):
    RED = 1

class Wrong(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code
    def bump(self):
        return Shape("wrong").bump()

def double(x):
    return 2 * x

def echo(x):
    return x

def spoil(shape):
    type(shape).sides = 99
    return shape

def fail(code):
    raise Wrong("on purpose", code)  # a line to be seen

with connect() as client:
    say(number=client.call(double, 21), name=client.call("repr", Colour.RED))

    method = Shape.bump
    square = client.call(echo, Square("s", Square("inner")))
    say(same=[type(square) is Square, type(square.inner) is Square, Shape.bump is method], bumped=square.bump(), count=count)

    values = [Record(1, Pair(2, 3)), Colour.RED, Square, Pair(4, 5)]
    back = client.call(echo, values)
    say(same=[back == values, type(back[0].pair) is Pair, back[1] is Colour.RED, back[2] is Square])

    spoiled = client.call(spoil, Square("t"))
    say(sides=[Square.sides, spoiled.sides], bumped=spoiled.bump())
    say(remote=client.call(lambda: Square("u").bump()))
    Square.sides = 5  # as in a notebook: what is defined anew is used from then on
    say(remote=client.call(lambda: Square("u").bump()))

    for _ in range(2):
        try:
            client.call(fail, 7, origexc="quiet")
        except Wrong as error:
            lines = "".join(traceback.format_exception(None, error, error.__traceback__))
            say(code=error.code, trace=lines, bumped=error.bump())
    say(main=client.eval("sorted(name for name in vars(__import__('__main__')) if name[0] != '_')"))
    say(late=client.call(lambda: late()) if globals().setdefault("late", lambda: "late") else None)
"""


def test_main(how: dict[str, Any], tmp_path: Path) -> None:
    """Functions, classes, instances and exceptions of a script: called there, back as what they were here."""
    with Master(how, SCRIPT, tmp_path) as master:
        assert master.hear() == {"number": 42, "name": "<Colour.RED: 1>"}
        # The master's own class is untouched: its methods still count in the script's variable.
        assert master.hear() == {"same": [True] * 3, "bumped": "s 4 1", "count": 1}
        assert master.hear() == {"same": [True] * 4}
        assert master.hear() == {"sides": [4, 4], "bumped": "t 4 2"}
        assert master.hear() == {"remote": "u 4 3"}
        assert master.hear() == {"remote": "u 5 3"}
        for count in (3, 4):
            caught = master.hear()
            assert (caught["code"], caught["bumped"]) == (7, f"wrong 0 {count}")
            assert "in fail\n    raise Wrong(" in caught["trace"]
            assert "on purpose" in caught["trace"]
        assert master.hear() == {"main": []}
        assert master.hear() == {"late": "late"}
        assert master.wait() == 0
    assert master.errors == ""


DECORATED = """
import functools, typing
from easycluster_protocol.errors import SerializationError

@functools.lru_cache
def twice(x):
    return 2 * x

@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

@functools.singledispatch
def kind(x):
    return "any"

@kind.register
def _(x: int):
    return "int"

class Cached:
    @functools.lru_cache
    def method(self, x):
        return x + 1
    @functools.cached_property
    def once(self):
        return 5

UserId = typing.NewType("UserId", int)

def annotated(x: UserId) -> UserId:
    return UserId(x + 1)

class ByName:
    def __reduce__(self):
        return "by_name"

by_name = ByName()

with connect() as client:
    say(cached=[client.call(twice, 2), client.call(fibonacci, 30), client.call(lambda: twice)(3)])
    say(passed=client.call(lambda f, xs: [f(x) for x in xs], twice, [1, 2]), map=client.call("list", [twice(1)]))
    say(kind=client.call(lambda: [kind(1), kind("")]), methods=client.call(lambda: [Cached().method(1), Cached().once]))
    say(type=client.call(annotated, 3))
    try:
        client.call(repr, by_name)
    except SerializationError as error:
        say(error=str(error))
"""


def test_decorated_functions(how: dict[str, Any], tmp_path: Path) -> None:
    """Functions of the script with a cache, or that dispatch, work there; what cannot go is an error here."""
    with Master(how, DECORATED, tmp_path) as master:
        assert master.hear() == {"cached": [4, 832040, 6]}
        assert master.hear() == {"passed": [2, 4], "map": [2]}
        assert master.hear() == {"kind": ["int", "any"], "methods": [2, 5]}
        assert master.hear() == {"type": 4}
        error = master.hear()["error"]
        assert error.startswith(
            "argument 1 of repr (type ByName) cannot be sent: PicklingError: ByName objects are"
        )
        assert "'by_name' exists only in __main__: put it into definitions (define_common)" in error
        assert master.wait() == 0


NOTEBOOK = """
import code

console = code.InteractiveConsole(globals(), "<ipython-input-1-0123456789ab>")

def cell(source):
    "Run a cell, as notebooks do."
    exec(compile(source, "<ipython-input-1-0123456789ab>", "exec"), globals())

with connect() as client:
    cell("factor = 3\\ndef scale(x):\\n    return factor * x\\n")
    say(first=client.call(scale, 2))
    cell("factor = 4")
    say(changed=client.call(scale, 2))
    cell("def scale(x):\\n    return Box(factor * x + 1)\\nclass Box:\\n    def __init__(self, x):\\n        self.x = x")
    box = client.call(scale, 2)
    say(again=box.x, same=type(box) is Box)
    old = Box
    cell("class Box:\\n    new = True\\n    def __init__(self, x):\\n        self.x = -x")
    say(anew=client.call(scale, 2).x, same=type(client.call(scale, 2)) is Box, old=type(client.call(lambda: box)) is old)
    cell("def fail():\\n    return 1 / 0\\n")
    try:
        client.call(fail, origexc="quiet")
    except ZeroDivisionError as error:
        say(trace=str(error.__cause__))
    for line in ["def typed(x):", "    return [scale(x).x, x]", "", "result = client.call(typed, 5)"]:
        console.push(line)
    say(typed=result)
"""


def test_notebook(how: dict[str, Any], tmp_path: Path) -> None:
    """Cells define things anew; calls use what is defined then, and tracebacks name the cell."""
    with Master(how, NOTEBOOK, tmp_path, python=("-i",)) as master:
        assert master.hear() == {"first": 6}
        assert master.hear() == {"changed": 8}
        assert master.hear() == {"again": 9, "same": True}
        assert master.hear() == {"anew": -9, "same": True, "old": True}
        trace = master.hear()["trace"]
        assert 'File "<ipython-input-1-0123456789ab>", line 2, in fail\n' in trace
        assert trace.rstrip().endswith("ZeroDivisionError: division by zero")
        assert master.hear() == {"typed": [-21, 5]}


FIRST = """
import threading

def work(x):
    return Outcome(x)

class Outcome:
    def __init__(self, x):
        self.x = x

class Wrong(Exception):
    pass

def fail(x):
    raise Wrong(x)

for first in (work, fail):
    with connect() as client:
        start, found = threading.Barrier(4), []

        def call(number):
            start.wait()
            try:
                outcome = client.call(first, number, threadid=number or None, origexc="quiet")
                found.append(outcome.x if type(outcome) is Outcome else repr(outcome))
            except Wrong as error:
                found.append(error.args[0])
            except BaseException as error:
                found.append(repr(error))

        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(found=sorted(found, key=str))
"""


def test_first_calls_of_several_threads(how: dict[str, Any], tmp_path: Path) -> None:
    """The first calls of all, by value and from several threads, give results and exceptions by value."""
    with Master(how, FIRST, tmp_path) as master:
        assert master.hear() == {"found": [0, 1, 2, 3]}
        assert master.hear() == {"found": [0, 1, 2, 3]}
        assert master.wait() == 0
