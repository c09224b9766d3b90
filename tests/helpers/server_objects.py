"""Server objects for the tests, and how many of them a server keeps."""

from __future__ import annotations

import gc
from typing import Any

from helpers.waiting import wait_until

#: The number of objects that the server keeps for this client.
KEPT = "len(__import__('easycluster_protocol._objects.proxies')._objects.proxies.server_objects or ())"

DEFINITIONS = '''
import collections.abc

class Thing(ServerObject):
    constant_asked = 0
    export_attrs_cache = "constant"
    def __init__(self, value=0):
        self.value = value
    @property
    def constant(self):
        self.constant_asked += 1
        return "constant"
    def itself(self):
        return self
    def inner(self):
        return {"deep": [(self, {"deeper": self})], self: 1}
    @staticmethod
    def static(x):
        return x + 1
    @classmethod
    def name(cls):
        return cls.__name__
    def _private(self):
        return "private"

class Keyed(Thing):
    """Has its hash and its equality on the server."""
    def __hash__(self):
        return hash(self.value)
    def __eq__(self, other):
        return isinstance(other, Keyed) and self.value == other.value

class Vector(ServerObject):
    def __init__(self, *values):
        self.values = list(values)
    def __add__(self, other):
        if not isinstance(other, Vector):
            return NotImplemented
        return Vector(*(x + y for x, y in zip(self.values, other.values)))
    def __radd__(self, other):
        return ("radd", other)
    def __iadd__(self, number):
        self.values = [x + number for x in self.values]
        return self
    def __eq__(self, other):
        return isinstance(other, Vector) and self.values == other.values
    def __getitem__(self, index):
        return self.values[index]
    def __setitem__(self, index, value):
        self.values[index] = value
    def __delitem__(self, index):
        del self.values[index]
    def __len__(self):
        return len(self.values)
    def __contains__(self, value):
        return value in self.values
    def __iter__(self):
        return iter(self.values)
    def __bool__(self):
        return bool(self.values)
    def __call__(self, *args, **kwargs):
        return (args, kwargs)
    def __neg__(self):
        return Vector(*(-x for x in self.values))

class Context(ServerObject):
    seen = ()
    def __enter__(self):
        return "entered"
    def __exit__(self, kind, error, traceback):
        self.seen = (kind.__name__, str(error), traceback) if kind else (None, None, traceback)
        return kind is KeyError

class Unpicklable:
    def __reduce__(self):
        raise ValueError("half way")

class NotThere:
    def __reduce__(self):
        return int, ("no number",)

singleton = []
same = Thing(7)
produced = []

def things(count):
    return [Thing(number) for number in range(count)]

def values(nested):
    return [nested[0].value, nested[1]["key"][0].value, next(iter(nested[2])).value]

def is_same(*objects):
    return all(each is same for each in objects)

def generate(count):
    for number in range(count):
        produced.append(number)
        yield number

def half_way():
    return things(5) + [same, Unpicklable()]

def not_there():
    return things(5) + [same, NotThere()]

def run(function):
    return function()

def file(path, mode):
    return open(path, mode)
'''


def kept(client: Any, count: int) -> None:
    """Wait until the server keeps so many objects; each call takes along what is to be given back."""
    gc.collect()
    wait_until(lambda: client.eval(KEPT) == count, what=f"{count} objects on the server")


def kind_of(proxy: Any) -> Any:
    """The class of a proxy; type checkers make nothing of it."""
    return proxy.__class__
