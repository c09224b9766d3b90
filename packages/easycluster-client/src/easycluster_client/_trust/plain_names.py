"""The names of Python's own library that a pickle of plain data uses, and how they may be called.

Each function here takes the arguments that picklers write, checks them, and makes the value by public
means: the constructors of the library take more than that, and believe it.
"""

from __future__ import annotations

import builtins
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from .untrusted import type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    #: Makes a value of a class from the arguments that picklers write.
    Constructor = Callable[..., Value]

#: A name of a time zone: a relative path in the folders of time zones, which `zoneinfo` checks once more.
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")

#: Longer fractions take long to be read.
FRACTION = re.compile(r"-?[0-9]{1,1000}(?:/[0-9]{1,1000})?")


def check(condition: bool, about: str) -> None:
    """Raise `ValueError` unless what is checked about the arguments of a name holds."""
    if not condition:
        raise ValueError(f"no {about} is made in this way")


def _are(values: tuple[Value, ...], *kinds: type) -> bool:
    return all(type_of(value) in kinds for value in values)


def _make_date(packed: Value) -> Value:
    check(type_of(packed) is bytes and len(packed) == 4, "date")
    return date(packed[0] << 8 | packed[1], packed[2], packed[3])


def _make_datetime(packed: Value, zone: Value = None) -> Value:
    check(type_of(packed) is bytes and len(packed) == 10, "datetime")
    year, month, fold = packed[0] << 8 | packed[1], packed[2] & 0x7F, packed[2] >> 7
    day, hour, minute, second = packed[3:7]
    micro = int.from_bytes(packed[7:10], "big")
    return datetime(year, month, day, hour, minute, second, micro, zone, fold=fold)


def _make_time(packed: Value, zone: Value = None) -> Value:
    check(type_of(packed) is bytes and len(packed) == 6, "time")
    micro = int.from_bytes(packed[3:6], "big")
    return time(packed[0] & 0x7F, packed[1], packed[2], micro, zone, fold=packed[0] >> 7)


def _make_timedelta(*args: Value) -> Value:
    check(_are(args, int), "timedelta")
    return timedelta(*args)


def _make_timezone(offset: Value, *name: Value) -> Value:
    check(type_of(offset) is timedelta and _are(name, str), "timezone")
    # The one for UTC is its own value elsewhere, too: scripts compare by `is`.
    return timezone.utc if not offset and not name else timezone(offset, *name)


def make_zone(key: Value, from_cache: Value = True) -> Value:
    """Return a time zone of `zoneinfo`."""
    check(type_of(key) is str and len(key) < 256 and _ZONE.fullmatch(key) is not None, "ZoneInfo")
    cls = _load("zoneinfo", "ZoneInfo")
    return cls(key) if from_cache else cls.no_cache(key)


def _make_decimal(text: Value) -> Value:
    check(type_of(text) is str, "Decimal")
    return _load("decimal", "Decimal")(text)


def _make_fraction(*args: Value) -> Value:
    is_text = len(args) == 1 and type_of(args[0]) is str and FRACTION.fullmatch(args[0]) is not None
    check(is_text or (len(args) == 2 and _are(args, int)), "Fraction")
    return _load("fractions", "Fraction")(*args)


def _taking(module: str, name: str, *kinds: type) -> Constructor:
    """Return the constructor of a class whose arguments are of these types exactly."""

    def construct(*args: Value) -> Value:
        check(_are(args, *kinds), name)
        return _load(module, name)(*args)

    return construct


def _make_range(*args: Value) -> Value:
    check(_are(args, int), "range")
    return range(*args)


def _make_slice(*args: Value) -> Value:
    check(_are(args, int, float, str, bytes, bool, type(None)), "slice")
    return slice(*args)


def _make_complex(*args: Value) -> Value:
    check(_are(args, float), "complex")
    return complex(*args)


def _make_bytearray(*args: Value) -> Value:
    check(_are(args, bytes) and len(args) <= 1, "bytearray")
    return bytearray(*args)


def _make_type(*args: Value) -> Value:
    check(len(args) == 1 and any(args[0] is each for each in (None, Ellipsis, NotImplemented)), "type")
    return type_of(args[0])


def _copy(cls: Callable[..., Value], *kinds: type) -> Constructor:
    def construct(*args: Value) -> Value:
        check(_are(args, *kinds) and len(args) <= 1, getattr(cls, "__name__", "value"))
        return cls(*args)

    return construct


_SEQUENCES = (list, tuple, str, bytes, bytearray, dict, set, frozenset, range)

#: What a `defaultdict` may make: these take no argument.
_FACTORIES = (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)


def _make_defaultdict(*args: Value) -> Value:
    check(len(args) <= 1 and all(each is None or each in _FACTORIES for each in args), "defaultdict")
    return _load("collections", "defaultdict")(*args)


def _make_deque(*args: Value) -> Value:
    check(all(type_of(each) in {list, tuple} for each in args[:1]) and len(args) <= 2, "deque")
    check(_are(args[1:], int, type(None)), "deque")
    return _load("collections", "deque")(*args)


def _make_namespace(*args: Value) -> Value:
    check(not args, "SimpleNamespace")
    return _load("types", "SimpleNamespace")()


def make_array(cls: Value, code: Value, form: Value, items: Value) -> Value:
    """Return an `array.array`."""
    array = _load("array", "array")
    check(cls is array and type_of(code) is str and type_of(form) is int and type_of(items) is bytes, "array")
    return _load("array", "_array_reconstructor")(array, code, form, items)


def _load(module: str, name: str) -> Value:
    """Return a class or function of one of the modules named here."""
    return getattr(__import__(module), name)


def _refuse(*args: Value) -> Value:
    check(not args, "object")
    return check(False, "object")


_PATHS = ("PurePath", "PurePosixPath", "PureWindowsPath", "Path", "PosixPath", "WindowsPath")
_ADDRESSES = (
    *("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"),
)

#: Module and name of a class → what makes values of it.
CLASSES: dict[tuple[str, str], Constructor] = {
    # Values may be these types themselves; only some of their values come by a call.
    **{("builtins", cls.__name__): _refuse for cls in _FACTORIES},
    ("builtins", "bytearray"): _make_bytearray,
    ("builtins", "complex"): _make_complex,
    ("builtins", "dict"): _copy(dict, dict),
    ("builtins", "frozenset"): _copy(frozenset, list),
    ("builtins", "object"): _refuse,
    ("builtins", "range"): _make_range,
    ("builtins", "set"): _copy(set, list),
    ("builtins", "slice"): _make_slice,
    ("builtins", "type"): _make_type,
    ("array", "array"): _refuse,
    ("collections", "Counter"): _taking("collections", "Counter", dict),
    ("collections", "OrderedDict"): _copy(OrderedDict),
    ("collections", "defaultdict"): _make_defaultdict,
    ("collections", "deque"): _make_deque,
    ("datetime", "date"): _make_date,
    ("datetime", "datetime"): _make_datetime,
    ("datetime", "time"): _make_time,
    ("datetime", "timedelta"): _make_timedelta,
    ("datetime", "timezone"): _make_timezone,
    ("decimal", "Decimal"): _make_decimal,
    ("fractions", "Fraction"): _make_fraction,
    **{("ipaddress", name): _taking("ipaddress", name, str, int) for name in _ADDRESSES},
    **{("pathlib", name): _taking("pathlib", name, str) for name in _PATHS},
    ("types", "SimpleNamespace"): _make_namespace,
    ("uuid", "UUID"): _refuse,
    ("zoneinfo", "ZoneInfo"): _refuse,
}

#: Module and name of a function → what takes its place.
FUNCTIONS: dict[tuple[str, str], Constructor] = {
    ("array", "_array_reconstructor"): make_array,
    ("builtins", "iter"): _copy(iter, *_SEQUENCES),
    ("builtins", "reversed"): _copy(reversed, list, tuple, str, bytes, bytearray, range),
}

#: Module and name of a value that is no class.
CONSTANTS = {("builtins", "Ellipsis"): Ellipsis, ("builtins", "NotImplemented"): NotImplemented}

#: Names of Python's exceptions, but for those that end a program, such as `SystemExit`.
EXCEPTIONS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == "builtins"
)

_reverse: Callable[..., Value] = reversed
_EMPTY: tuple[Value, ...] = ([], (), "", b"", bytearray(), range(0), range(1 << 70))

#: Python's iterators, whose state is a position.
ITERATORS = frozenset(map(type_of, (*map(iter, _EMPTY), *map(_reverse, _EMPTY[:2]))))
