"""Loads the pickles of a host that is trusted with its results only.

It knows the opcodes that picklers write from protocol 4 on, and no others. Which names a pickle may use,
and how, say the `names`: a name is looked up by `find`, a call of it is made by `call` and `make`, and the
state of an object is set by `set_state`. Nothing else of a pickle can run code.
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from easycluster_protocol._pickling import UnpicklingError

from .nesting import Nesting
from .room import Room
from .untrusted import is_instance, type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Args, Buffer, Kwargs, Value


class Names(Protocol):
    """What a pickle may name, and what may be done with it."""

    def find(self, module: Value, name: Value) -> Value:
        """Return the class of a name, or an object that stands for its function."""
        ...

    def call(self, function: Value, args: Args, machine: Machine) -> Value:
        """Return the result of a call."""
        ...

    def make(self, cls: Value, args: Args, kwargs: Kwargs, machine: Machine) -> Value:
        """Return a new object of a class, without its constructor."""
        ...

    def set_state(self, target: Value, state: Value, machine: Machine) -> None:
        """Set the state of an object."""
        ...

    def find_proxy(self, named: Value) -> Value:
        """Return the proxy of a server object."""
        ...

    def may_fill(self, target: Value, kind: type) -> bool:
        """Return whether items may be added to an object that is like a list, set or dictionary."""
        ...


#: The most bits of an integer that may be in a value twice: each look at it takes time.
_MOST_SHARED_BITS = 1 << 16


class Machine:
    """Loads one pickle.

    Args:
        names: see `Names`.
        body: the pickle.
        buffers: the buffers beside it.
        room: that of the pickle in which it is; None: it has one of its own.

    Attributes:
        room: the memory that its values may take.
        nesting: notes the values that are dangerous in each other.
        fresh: the arrays and types of arrays that have no state yet, by their ids.
    """

    def __init__(
        self, names: Names, body: Buffer, buffers: Sequence[Buffer] = (), room: Room | None = None
    ) -> None:
        self._names = names
        self._data = memoryview(body)
        self._at = 0
        self._buffers = iter(buffers)
        self._stack: list[Value] = []
        #: The stacks below the marks.
        self._below: list[list[Value]] = []
        self._memo: list[Value] = []
        self.nesting = Nesting(len(self._data))
        self.room = room or Room(self._data.nbytes + sum(memoryview(each).nbytes for each in buffers))
        self.fresh: dict[int, Value] = {}

    def load(self) -> Value:
        """Return the value.

        Raises:
            UnpicklingError: the pickle is malformed, or does something that no pickler writes.
            UntrustedName: it uses a name that its host is not trusted with.
        """
        data, steps = self._data, _STEPS
        try:
            while True:
                code = data[self._at]
                self._at += 1
                if code == _STOP:
                    return self._stack.pop()
                step = steps.get(code)
                if step is None:
                    raise UnpicklingError(f"there is an opcode 0x{code:02x} in it, which hosts do not need")
                step(self)
        except (IndexError, struct.error) as error:
            raise UnpicklingError("it is cut short, or malformed") from error

    def take(self, size: int) -> memoryview:
        """Return the next bytes of the pickle."""
        start = self._at
        self._at = end = start + size
        if end > len(self._data):
            raise UnpicklingError("it is cut short")
        return self._data[start:end]

    def take_number(self, size: int) -> int:
        """Return the number in the next bytes of the pickle."""
        return int.from_bytes(self.take(size), "little")

    def push(self, value: Value) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop_mark(self) -> list[Value]:
        """Return the values above the last mark, and remove them with it."""
        items, self._stack = self._stack, self._below.pop()
        return items

    def mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def memoize(self) -> None:
        value = self._stack[-1]
        if type_of(value) is int and value.bit_length() > _MOST_SHARED_BITS:
            raise UnpicklingError("a long integer is in it more than once")
        self._memo.append(value)

    def protocol(self) -> None:
        self.take(1)

    def frame(self) -> None:
        self.take(8)

    def read_float(self) -> None:
        self.push(struct.unpack(">d", self.take(8))[0])

    def read_signed(self) -> None:
        self.push(struct.unpack("<i", self.take(4))[0])

    def next_buffer(self) -> None:
        try:
            self.push(next(self._buffers))
        except StopIteration:
            raise UnpicklingError("there is a buffer missing beside it") from None

    def read_only_buffer(self) -> None:
        self._stack[-1] = memoryview(self._stack[-1]).toreadonly()

    def get(self, size: int) -> Value:
        """Return the value of the memo whose number comes next, in so many bytes."""
        return self._memo[self.take_number(size)]

    def _push_tuple(self, items: Sequence[Value]) -> None:
        value = tuple(items)
        self.nesting.note(value, items)
        self.push(value)

    def make_tuple(self, size: int) -> None:
        """Replace the last values by a tuple of them."""
        if len(self._stack) < size:
            raise IndexError
        items = self._stack[-size:]
        del self._stack[-size:]
        self._push_tuple(items)

    def tuple_of_marked(self) -> None:
        self._push_tuple(self.pop_mark())

    def frozen_set(self) -> None:
        self.push(frozenset(self.pop_mark()))

    def append(self) -> None:
        value = self._stack.pop()
        self._extend([value])

    def appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Value]) -> None:
        target: Value = self._stack[-1]
        if type_of(target) is list:
            target.extend(items)
            return
        if type_of(target) is deque:
            self.nesting.grow(target, items)
        elif not self._names.may_fill(target, list):
            self._refuse_to_fill(target)
        for item in items:
            target.append(item)

    def add_items(self) -> None:
        items = self.pop_mark()
        target: Value = self._stack[-1]
        if type_of(target) is not set and not self._names.may_fill(target, set):
            self._refuse_to_fill(target)
        for item in items:
            target.add(item)

    def set_item(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._fill([key, value])

    def set_items(self) -> None:
        self._fill(self.pop_mark())

    def _fill(self, items: list[Value]) -> None:
        target: Value = self._stack[-1]
        if type_of(target) is not dict:
            if not self._names.may_fill(target, dict):
                self._refuse_to_fill(target)
            if type_of(target) is defaultdict:
                self.nesting.grow(target, items)
        for index in range(0, len(items), 2):
            target[items[index]] = items[index + 1]

    def _refuse_to_fill(self, target: Value) -> NoReturn:
        raise UnpicklingError(f"it adds items to a {type(target).__name__}")

    def find_global(self) -> None:
        name = self._stack.pop()
        self.push(self._names.find(self._stack.pop(), name))

    def persistent(self) -> None:
        self.push(self._names.find_proxy(self._stack.pop()))

    def reduce(self) -> None:
        args = self._pop_args()
        self.room.take_copies(args)
        function = self._stack.pop()
        self._push_made(self._names.call(function, args, self), args)

    def new_object(self) -> None:
        args = self._pop_args()
        self.room.take_copies(args)
        self._push_made(self._names.make(self._stack.pop(), args, {}, self), args)

    def new_object_with_keywords(self) -> None:
        kwargs = self._stack.pop()
        if type_of(kwargs) is not dict:
            raise UnpicklingError("the keywords of a class are no dictionary")
        args = self._pop_args()
        values = (*args, *kwargs.values())
        self.room.take_copies(values)
        self._push_made(self._names.make(self._stack.pop(), args, kwargs, self), values)

    def _pop_args(self) -> Args:
        args: Args = self._stack.pop()
        if type_of(args) is not tuple:
            raise UnpicklingError("the arguments of a call are no tuple")
        return args

    def _push_made(self, value: Value, args: Args) -> None:
        if is_instance(value, tuple, deque, defaultdict):
            # Whatever the function has made of its arguments, nothing else can be in the value.
            self.nesting.note(value, args if is_instance(value, tuple) else (*args, *value))
        self.push(value)

    def build(self) -> None:
        state = self._stack.pop()
        self.room.take_copies((state, *state) if type_of(state) is tuple else (state,))
        self._names.set_state(self._stack[-1], state, self)


_STOP = 0x2E

_Step = Callable[[Machine], object]


def _reader(length_size: int, make: Callable[[memoryview], Value]) -> _Step:
    """Return the step that reads a value whose length stands ahead of it."""

    def step(machine: Machine) -> None:
        machine.push(make(machine.take(machine.take_number(length_size))))

    return step


def _number(size: int) -> _Step:
    return lambda machine: machine.push(machine.take_number(size))


def _constant(value: Value) -> _Step:
    return lambda machine: machine.push(value)


def _maker(make: Callable[[], Value]) -> _Step:
    return lambda machine: machine.push(make())


def _getter(size: int) -> _Step:
    return lambda machine: machine.push(machine.get(size))


def _tuple_maker(size: int) -> _Step:
    return lambda machine: machine.make_tuple(size)


def _text(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _integer(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


_STEPS: dict[int, _Step] = {
    0x80: Machine.protocol,
    0x95: Machine.frame,
    0x94: Machine.memoize,
    0x28: Machine.mark,  # (
    0x30: Machine.pop,  # 0
    0x31: Machine.pop_mark,  # 1
    0x4E: _constant(None),  # N
    0x88: _constant(True),
    0x89: _constant(False),
    0x4B: _number(1),  # K
    0x4D: _number(2),  # M
    0x4A: Machine.read_signed,  # J
    0x8A: _reader(1, _integer),
    0x8B: _reader(4, _integer),
    0x47: Machine.read_float,  # G
    0x43: _reader(1, bytes),  # C
    0x42: _reader(4, bytes),  # B
    0x8E: _reader(8, bytes),
    0x96: _reader(8, bytearray),
    0x97: Machine.next_buffer,
    0x98: Machine.read_only_buffer,
    0x8C: _reader(1, _text),
    0x58: _reader(4, _text),  # X
    0x8D: _reader(8, _text),
    0x68: _getter(1),  # h
    0x6A: _getter(4),  # j
    0x29: _maker(tuple),  # )
    0x85: _tuple_maker(1),
    0x86: _tuple_maker(2),
    0x87: _tuple_maker(3),
    0x74: Machine.tuple_of_marked,  # t
    0x5D: _maker(list),  # ]
    0x61: Machine.append,  # a
    0x65: Machine.appends,  # e
    0x7D: _maker(dict),  # }
    0x73: Machine.set_item,  # s
    0x75: Machine.set_items,  # u
    0x8F: _maker(set),
    0x90: Machine.add_items,
    0x91: Machine.frozen_set,
    0x93: Machine.find_global,
    0x51: Machine.persistent,  # Q
    0x52: Machine.reduce,  # R
    0x81: Machine.new_object,
    0x92: Machine.new_object_with_keywords,
    0x62: Machine.build,  # b
}
