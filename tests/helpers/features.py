"""What a pair of Pythons must be able to do: each feature is one function, named as in `docs/pythons.md`.

A feature returns when it works. It raises `Lacking` when it fails in the way that the document tells,
and anything else when it fails in another way. It runs under every master's Python, without pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

#: For `define_common`, before the clients are made.
DEFINITIONS = '''
import enum
import pickle
import sys
import threading
from easycluster import ServerObject, make_server_class

class Broken(Exception):
    """An exception of the definitions."""

class Colour(enum.Enum):
    RED = "red"

class Access(enum.Flag):
    READ = 1
    WRITE = 2

class Rank(enum.IntEnum):
    FIRST = 1

class Counter(ServerObject):
    def __init__(self, start):
        self.value = start

    def add(self, number):
        self.value += number
        return self

    def __len__(self):
        return self.value

class Plain:
    def __init__(self, value):
        self.value = value

make_server_class(Plain)

if sys.version_info >= (3, 7):
    import dataclasses

    @dataclasses.dataclass
    class Point:
        x: int
        y: int

def add(a, b=2):
    return a + b

def same(value):
    return value

def fail(text):
    raise Broken(text)  # a line to be seen

def fail_in_turn():
    try:
        {}["missing"]
    except KeyError as error:
        raise Broken("because of it") from error

def fail_together():
    raise ExceptionGroup("both", [Broken("one"), OSError(2, "two")])

def fail_with_note():
    error = Broken("noted")
    error.add_note("a note")
    raise error

def reverse(values):
    values.reverse()
    return values

def beside(buffer):
    return pickle.PickleBuffer(bytearray(buffer))

def count(end):
    for number in range(end):
        yield number

let_go = threading.Event()

def wait_to_be_let_go():
    return let_go.wait(30)

def thread():
    return threading.current_thread() is threading.main_thread(), threading.get_ident()

def version():
    return "%d.%d" % sys.version_info[:2]
'''


class Lacking(Exception):
    """This pair cannot do it, and says so as the document tells."""


class Pair(NamedTuple):
    """A host, twice connected.

    Attributes:
        client: a `Client`.
        threaded: a `ThreadedClient`, compressed.
        here: the minor version of the master's Python, as "3.10".
        there: that of the host.
    """

    client: Any
    threaded: Any
    here: str
    there: str


Feature = Callable[[Pair], None]

_features: dict[str, Feature] = {}


def feature(function: Feature) -> Feature:
    """Let `load_features` find this function by what its name says."""
    _features[function.__name__.replace("_", " ")] = function
    return function


def load_features() -> dict[str, Feature]:
    """Return all of them, by name."""
    for module in ("features_calls", "features_values"):
        import_module(f"helpers.{module}")
    return _features


def caught(kind: Any, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return the exception of a call that must raise one of this class."""
    try:
        value = call(*args, **options)
    except kind as error:
        return error
    raise AssertionError(f"{call!r} returned {value!r}")
