"""The names that a pickle of a host may use which is trusted with its results only, each by itself."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from enum import Enum, Flag
from typing import TYPE_CHECKING

from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._pickling import UnpicklingError
from easycluster_protocol._values.serialize import loads

from . import numpy_names, own_names
from .failures import load_once, rebuild_link
from .machine import Machine
from .plain_names import CLASSES, CONSTANTS, EXCEPTIONS, FUNCTIONS, ITERATORS, make_zone
from .policy import chooses_constructor, find_defined, is_defined
from .scan import is_plain
from .untrusted import UntrustedName, is_class, is_instance, type_of

if TYPE_CHECKING:
    from easycluster_client._session.references import References
    from easycluster_protocol._types import Args, Buffer, Kwargs, Value

    from .policy import Policy
    from .room import Room

_VALUES = "easycluster_protocol._values."
_OBJECTS = "easycluster_protocol._objects."

#: What a time zone that is not shared takes.
_ZONE_BYTES = 1 << 13

_NUMPY_CLASSES = ("ndarray", "dtype", *numpy_names.SCALARS)

#: Module and name of a function → what takes its place, which gets the machine first.
_WITH_MACHINE: dict[tuple[str, str], Callable[..., Value]] = {
    ("numpy._core.multiarray", "_reconstruct"): numpy_names.make_empty,
    ("numpy._core.multiarray", "scalar"): numpy_names.make_scalar,
    ("numpy._core.numeric", "_frombuffer"): numpy_names.make_from_buffer,
    (_VALUES + "libraries", "view_array"): numpy_names.make_view,
}

#: The same without the machine.
_FUNCTIONS: dict[tuple[str, str], Callable[..., Value]] = {
    **FUNCTIONS,
    (_VALUES + "views", "make_keys"): own_names.make_keys,
    (_VALUES + "views", "make_values"): own_names.make_values,
    (_VALUES + "views", "make_items"): own_names.make_items,
    (_VALUES + "views", "make_mapping"): own_names.make_mapping,
    (_OBJECTS + "proxy_methods", "find_method"): own_names.find_method,
    (_OBJECTS + "proxy_methods", "find_refused_method"): own_names.find_refused_method,
}


class _Function:
    """Stands for a function on the stack. It is no function: as a value it does nothing."""

    def __init__(self, name: str, replacement: Callable[..., Value]) -> None:
        self.name = name
        self.replacement = replacement

    def __repr__(self) -> str:
        return f"<name of {self.name}>"


class LoadedNames:
    """The names of one pickle.

    Args:
        policy: what its host is trusted with.
        references: those of the connection, if the pickle may name server objects.
        level: in how many exceptions, one in the other, the pickle is.
        room: that of the pickle in which it is; None: it has one of its own.
    """

    def __init__(
        self, policy: Policy, references: References | None, level: int, room: Room | None = None
    ) -> None:
        self._policy = policy
        self._references = references
        self._level = level
        self._room = room
        self._machine: Machine | None = None
        self._loaded: dict[int, tuple[Buffer, Value]] = {}

    def load(self, body: Buffer, buffers: Sequence[Buffer]) -> Value:
        """Unpickle a body."""
        self._machine = machine = Machine(self, body, buffers, self._room)
        self._room = machine.room
        try:
            return machine.load()
        finally:
            self._machine = None  # it has functions of this object

    def find(self, module: Value, name: Value) -> Value:
        """See `machine.Names`."""
        if type_of(module) is not str or type_of(name) is not str:
            raise UnpicklingError("a name in it is no text")
        key = (numpy_names.normalize(module), name)
        function = _FUNCTIONS.get(key) or self._find_method(key)
        if function is not None:
            return _Function(name, function)
        if key in CONSTANTS:
            return CONSTANTS[key]
        cls = self._find_class((module, name))
        if cls is None:
            raise UntrustedName(module, name)
        return cls

    def _find_method(self, key: tuple[str, str]) -> Callable[..., Value] | None:
        """Return what takes the place of a function that needs to know more than its arguments."""
        if key in _WITH_MACHINE:
            function = _WITH_MACHINE[key]
            return lambda *args: function(self._machine, *args)
        functions: dict[tuple[str, str], Callable[..., Value]] = {
            ("builtins", "getattr"): self._get_attribute,
            (_OBJECTS + "proxies", "find_proxy"): lambda *named: self.find_proxy(named),
            (_VALUES + "exceptions", "rebuild"): self._rebuild_exception,
            (_VALUES + "exceptions", "set_attributes"): self._set_attributes,
            (_VALUES + "failures", "rebuild_link"): self._rebuild_link,
            (_VALUES + "named_tuples", "make_named"): lambda *args: own_names.make_named(self._policy, *args),
            (_VALUES + "named_tuples", "make_struct"): lambda *args: own_names.make_struct(
                self._policy, *args
            ),
        }
        return functions.get(key)

    def _find_class(self, key: tuple[str, str]) -> type | None:
        module, name = key
        found = self._policy.classes.get(key) or own_names.PROXIES.get(key) or own_names.ERRORS.get(key)
        if found is not None:
            return found
        if module == "pathlib._local":  # so Python 3.13 calls it
            key = ("pathlib", name)
        is_known = key in CLASSES or (module == "builtins" and name in EXCEPTIONS)
        if is_known or (module == "numpy" and name in _NUMPY_CLASSES):
            cls: Value = getattr(sys.modules.get(key[0]) or __import__(key[0]), name, None)
            return cls if isinstance(cls, type) else None
        return find_defined(module, name)

    def _get_attribute(self, cls: Value, name: Value) -> Value:
        """Return one of the two methods that Python pickles so: that of time zones, and those of proxies."""
        if isinstance(cls, RemoteProxy) and type_of(name) is str:
            return own_names.find_method(cls, name)
        if name != "_unpickle" or not isinstance(cls, type) or cls.__module__ != "zoneinfo":
            raise UntrustedName("builtins", "getattr")
        return _Function("ZoneInfo", self._make_zone)

    def _make_zone(self, key: Value, from_cache: Value = True) -> Value:
        if not from_cache:
            self._take(_ZONE_BYTES)
        return make_zone(key, from_cache)

    def call(self, function: Value, args: Args, machine: Machine) -> Value:
        """See `machine.Names`."""
        if type_of(function) is _Function:
            return function.replacement(*args)
        if not is_class(function):
            raise UnpicklingError(f"it calls a {type(function).__name__}")
        return self._construct(function, args, machine)

    def _construct(self, cls: type, args: Args, machine: Machine) -> Value:
        if self._policy.is_named(cls):
            machine.room.take_object(cls, args)
            return cls(*args)
        known = CLASSES.get((cls.__module__.replace("pathlib._local", "pathlib"), cls.__qualname__))
        if known is not None:
            return known(*args)
        if (cls.__module__, cls.__qualname__) == ("numpy", "dtype"):
            return numpy_names.make_type(machine, *args)
        if is_class(cls, Exception):
            machine.room.take_texts(args)
            return own_names.make_exception(cls, args)
        if is_defined(cls) and chooses_constructor(cls):
            machine.room.take_object(cls, args)
            if is_class(cls, Flag):
                self._policy.count_flags(cls, args)
            return cls(*args)
        raise UntrustedName(cls.__module__, cls.__qualname__)

    def make(self, cls: Value, args: Args, kwargs: Kwargs, machine: Machine) -> Value:
        """See `machine.Names`."""
        if not is_class(cls):
            raise UnpicklingError("it makes an object of something that is no class")
        if not self._policy.is_named(cls):
            is_uuid = (cls.__module__, cls.__qualname__) == ("uuid", "UUID") and not args
            may_be_made = is_defined(cls) and not is_class(cls, RemoteProxy)
            if kwargs or not (is_uuid or may_be_made):
                raise UntrustedName(cls.__module__, cls.__qualname__)
        machine.room.take_object(cls, (*args, *kwargs.values()))
        return cls.__new__(cls, *args, **kwargs)

    def set_state(self, target: Value, state: Value, machine: Machine) -> None:
        """See `machine.Names`."""
        cls: Value = type_of(target)
        if numpy_names.set_state(machine, target, state):
            return
        if (cls.__module__, cls.__qualname__) == ("uuid", "UUID"):
            _set_uuid(target, state)
        elif cls in ITERATORS and type_of(state) is int:
            target.__setstate__(state)
        elif (cls.__module__, cls.__qualname__) == ("types", "SimpleNamespace"):
            _set_attributes(target, state)
        elif isinstance(target, Exception) and not self._policy.is_named(cls):
            machine.room.take_texts(state)
            own_names.set_attributes(target, state)
        elif self._is_own(target):
            _restore(target, state)
        else:
            raise UnpicklingError(f"it sets the state of a {cls.__name__}")

    def _is_own(self, target: Value) -> bool:
        """Whether an object is of a class of the script's. Members of an `Enum` are not: all share them."""
        cls: Value = type_of(target)
        if is_instance(target, type, RemoteProxy, Enum):
            return False
        return self._policy.is_named(cls) or is_defined(cls)

    def may_fill(self, target: Value, kind: type) -> bool:
        """See `machine.Names`."""
        if kind is dict and type_of(target) in {OrderedDict, defaultdict}:
            return True
        if kind is dict and (type(target).__module__, type(target).__name__) == ("collections", "Counter"):
            return True
        return self._is_own(target)

    def find_proxy(self, named: Value) -> Value:
        """See `machine.Names`."""
        if type_of(named) is not tuple or not 2 <= len(named) <= 3:
            raise UnpicklingError("it names a server object in a wrong way")
        if self._references is None:
            raise UnpicklingError("it names a server object that its message does not")
        oid, descriptor, number = (*named, 0)[:3]
        if type_of(oid) is not int or oid < 1:
            raise UnpicklingError("it names a server object by no number")
        own_names.check_description(self._policy, descriptor)
        return self._references.find_proxy(oid, descriptor, number)

    def _load_within(self, body: Buffer, level: int) -> Value:
        return load(self._policy, body, (), self._references, level, self._room)

    def _rebuild_link(self, link: Value) -> BaseException:
        self._take_texts(link)
        return rebuild_link(load_once(self._load_within, self._loaded), link, self._level + 1)

    def _rebuild_exception(self, cls: Value, args: Value, attributes: Value = None) -> BaseException:
        self._take_texts((args, attributes))
        return own_names.rebuild(cls, args, attributes)

    def _set_attributes(self, error: Value, attributes: Value) -> None:
        self._take_texts(attributes)
        own_names.set_attributes(error, attributes)

    def _take(self, size: int) -> None:
        assert self._room is not None
        self._room.take(size)

    def _take_texts(self, value: Value) -> None:
        assert self._room is not None
        self._room.take_texts(value)


def load(
    policy: Policy,
    body: Buffer,
    buffers: Sequence[Buffer] = (),
    references: References | None = None,
    level: int = 0,
    room: Room | None = None,
) -> Value:
    """Unpickle what a host has sent.

    Args:
        policy: what the host is trusted with.
        body: the pickle.
        buffers: the buffers beside it.
        references: those of the connection, if the body may name server objects.
        level: in how many exceptions, one in the other, the pickle is.
        room: that of the pickle in which it is.

    Raises:
        UntrustedName: it uses a name with which its host is not trusted.
    """
    if is_plain(body):
        return loads(body, buffers=buffers)
    return LoadedNames(policy, references, level, room).load(body, buffers)


def _set_uuid(target: Value, state: Value) -> None:
    if type_of(state) is not dict or not state.keys() <= {"int", "is_safe"}:
        raise UnpicklingError("a UUID has no such state")
    number, is_safe = state.get("int"), state.get("is_safe", 0)
    if type_of(number) is not int or not 0 <= number < 1 << 128 or type_of(is_safe) is not int:
        raise UnpicklingError("a UUID has no such number")
    target.__setstate__(state)


def _restore(target: Value, state: Value) -> None:
    """Set the state of an object as Python's unpickler does."""
    # From Python 3.11 on `object` has `__getstate__`, but no version has this one.
    set_state: Value = getattr(target, "__setstate__", None)
    if set_state is not None:
        set_state(state)
        return
    slots = None
    if type_of(state) is tuple and len(state) == 2:
        state, slots = state
    if state:
        _set_attributes(target, state, is_plain=True)
    if slots:
        _set_attributes(target, slots)


def _set_attributes(target: Value, state: Value, is_plain: bool = False) -> None:
    """Set attributes of an object, which are no special ones.

    Args:
        target: the object.
        state: the attributes.
        is_plain: whether to set them in the dictionary of the object, whatever its class says.
    """
    if type_of(state) is not dict or not all(type_of(name) is str for name in state):
        raise UnpicklingError("the attributes of an object are no dictionary")
    if any(name.startswith("__") and name.endswith("__") for name in state):
        raise UnpicklingError("it sets a special attribute of an object")
    if is_plain:
        attributes: dict[str, Value] = target.__dict__
        attributes.update({sys.intern(name): value for name, value in state.items()})
    else:
        for name, value in state.items():
            setattr(target, name, value)
