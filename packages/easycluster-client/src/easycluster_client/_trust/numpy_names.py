"""Arrays of NumPy, their types and their scalars, from a host that is not trusted.

NumPy believes the state in a pickle: it takes any bytes for addresses of objects, any offset for one inside
of an item, and sets aside memory for any shape. So no state comes to NumPy as it is. A type is made by
NumPy's public constructor from what the state says of it, and gets the state of that. The shape of an array
is compared with the bytes and items that are there. NumPy is not imported here: it is when a host names it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from .plain_names import check
from .untrusted import is_class, is_instance, type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    from .machine import Machine

_TYPE_CODE = re.compile(r"[?bhilqpuBHILQPefdgFDGSUVOmMc]\d{0,9}")
_UNITS = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"])

_MOST_DIMENSIONS = 64
_MOST_BYTES = 1 << 62

#: The most items that take no bytes: whoever copies them to a list has as many objects.
_MOST_EMPTY_ITEMS = 1 << 16

#: The classes of scalars: values may be these classes.
SCALARS = [
    "bool_",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "intc",
    "intp",
    "longlong",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "uintc",
    "uintp",
    "ulonglong",
    "float16",
    "float32",
    "float64",
    "longdouble",
    "complex64",
    "complex128",
    "clongdouble",
    "datetime64",
    "timedelta64",
    "str_",
    "bytes_",
    "void",
    "object_",
]


def normalize(module: str) -> str:
    """Return the name that a module of NumPy has in NumPy 2, any other as it is."""
    return module.replace("numpy.core.", "numpy._core.", 1) if module.startswith("numpy.core.") else module


def _numpy() -> Value:
    return __import__("numpy")


def _is_type(machine: Machine, value: Value) -> bool:
    """Whether a value is a type of arrays that has its state."""
    return isinstance(value, _numpy().dtype) and id(value) not in machine.fresh


def make_type(machine: Machine, code: Value, *_: Value) -> Value:
    """Return a new type of arrays, which gets its state later."""
    check(type_of(code) is str and _TYPE_CODE.fullmatch(code) is not None, "dtype")
    made = _numpy().dtype(code, False, True)
    machine.fresh[id(made)] = made
    return made


def make_empty(machine: Machine, cls: Value, *_: Value) -> Value:
    """Return a new array, which gets its state later."""
    numpy = _numpy()
    # A class of the user's comes here only if it is trusted.
    check(is_class(cls, numpy.ndarray), "array")
    made = numpy.ndarray.__new__(cls, (0,), numpy.int8)
    machine.fresh[id(made)] = made
    return made


def make_scalar(machine: Machine, dtype: Value, data: Value) -> Value:
    """Return a scalar."""
    check(_is_type(machine, dtype) and not dtype.hasobject and type_of(data) is bytes, "scalar")
    check(len(data) == dtype.itemsize, "scalar")
    return _numpy().frombuffer(data, dtype=dtype)[0] if data else _numpy().zeros((), dtype)[()]


def make_from_buffer(machine: Machine, data: Value, dtype: Value, shape: Value, order: Value) -> Value:
    """Return an array over a buffer."""
    check(is_instance(data, bytes, bytearray, memoryview) and order in {"C", "F"}, "array")
    check(_is_type(machine, dtype) and not dtype.hasobject, "array")
    count = _count_items(shape, dtype)
    numpy = _numpy()
    data = memoryview(data)
    check(data.nbytes == count * dtype.itemsize, "array")
    if not data.nbytes:
        return numpy.empty(shape, dtype, order)
    return numpy.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def make_view(machine: Machine, numbers: Value, dtype: Value) -> Value:
    """Return the array of dates that has these numbers."""
    check(type_of(numbers) is _numpy().ndarray and id(numbers) not in machine.fresh, "array")
    check(_is_type(machine, dtype) and dtype.kind in "mM" and numbers.dtype == "i8", "array")
    return numbers.view(dtype)


def set_state(machine: Machine, target: Value, state: Value) -> bool:
    """Set the state of an array or type; return whether this is one."""
    if id(target) not in machine.fresh:
        return False
    check(type_of(state) is tuple, "array")
    if isinstance(target, _numpy().dtype):
        described = _describe(machine, target, *state)
        check(described.num == target.num, "dtype")
        target.__setstate__(described.__reduce__()[2])
    else:
        check(len(state) == 5, "array")
        target.__setstate__(_check_array_state(machine, target, *state[1:]))
    del machine.fresh[id(target)]
    return True


def _check_array_state(
    machine: Machine, target: Value, shape: Value, dtype: Value, is_fortran: Value, data: Value
) -> tuple[Value, ...]:
    check(_is_type(machine, dtype) and type_of(is_fortran) in {bool, int}, "array")
    count = _count_items(shape, dtype)
    if dtype.hasobject:
        check(type_of(data) is list and len(data) == count, "array")
        check(not any(id(item) in machine.fresh for item in data), "array")
        machine.nesting.note(target, data)
    else:
        check(type_of(data) is bytes and len(data) == count * dtype.itemsize, "array")
    return 1, shape, dtype, bool(is_fortran), data


def _count_items(shape: Value, dtype: Value) -> int:
    check(type_of(shape) is tuple and len(shape) <= _MOST_DIMENSIONS, "array")
    check(all(type_of(each) is int and each >= 0 for each in shape), "array")
    # NumPy refuses what it could not count, also where one of the numbers is 0.
    check(math.prod(each or 1 for each in shape) * (dtype.itemsize or 1) < _MOST_BYTES, "array")
    count = math.prod(shape)
    check(dtype.itemsize > 0 or count <= _MOST_EMPTY_ITEMS, "array")
    return count


def _describe(
    machine: Machine,
    target: Value,
    _version: Value = None,
    order: Value = "|",
    base: Value = None,
    names: Value = None,
    fields: Value = None,
    size: Value = -1,
    _alignment: Value = -1,
    _flags: Value = 0,
    details: Value = None,
) -> Value:
    """Return the type of arrays that a state describes, made by the public constructor."""
    check(type_of(order) is str and order in {"<", ">", "|", "="} and type_of(size) is int, "dtype")
    check(-1 <= size < 1 << 31, "dtype")
    numpy = _numpy()
    if names is not None:
        return numpy.dtype(_check_fields(machine, names, fields, size))
    if base is not None:
        check(type_of(base) is tuple and len(base) == 2 and _is_type(machine, base[0]), "dtype")
        _count_items(base[1], base[0])
        made = numpy.dtype(base)
        check(made.itemsize == size, "dtype")
        return made
    kind = target.kind
    if kind in "mM":
        return numpy.dtype(kind + "8" + _name_unit(details)).newbyteorder(order)
    if kind in "SUV":
        check(size >= 0, "dtype")
        return numpy.dtype(f"{kind}{size // 4 if kind == 'U' else size}").newbyteorder(order)
    return target.newbyteorder(order)


def _name_unit(details: Value) -> str:
    """Return the unit of a type of dates, in brackets, from the last part of its state."""
    check(type_of(details) is tuple and len(details) == 2 and type_of(details[1]) is tuple, "dtype")
    check(len(details[1]) >= 2, "dtype")
    unit: Value = details[1][0]
    count: Value = details[1][1]
    if type_of(unit) is bytes:
        unit = unit.decode("ascii")
    check(type_of(unit) is str and unit in _UNITS and type_of(count) is int and 0 < count < 1 << 31, "dtype")
    return "" if unit == "generic" else f"[{count}{unit}]"


def _check_fields(machine: Machine, names: Value, fields: Value, size: int) -> dict[str, Value]:
    check(type_of(names) is tuple and type_of(fields) is dict and size >= 0, "dtype")
    formats: list[Value] = []
    offsets: list[int] = []
    titles: list[Value] = []
    for name in names:
        check(type_of(name) is str, "dtype")
        field: Value = fields.get(name)
        check(type_of(field) is tuple and 2 <= len(field) <= 3, "dtype")
        dtype: Value = field[0]
        offset: Value = field[1]
        title: Value = field[2] if len(field) == 3 else None
        check(_is_type(machine, dtype) and type_of(offset) is int, "dtype")
        check(title is None or type_of(title) is str, "dtype")
        check(offset >= 0 and offset + dtype.itemsize <= size, "dtype")
        formats.append(dtype)
        offsets.append(offset)
        titles.append(title)
    return {
        "names": list(names),
        "formats": formats,
        "offsets": offsets,
        "itemsize": size,
        **({"titles": titles} if any(title is not None for title in titles) else {}),
    }
