"""The functions of EasyCluster that its pickles name, for a host that is not trusted: each checks its
arguments."""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING

from easycluster_protocol import errors
from easycluster_protocol._objects import proxy_methods
from easycluster_protocol._objects.forwarders import METHOD, get_forwarded_kind
from easycluster_protocol._objects.proxies import RemoteProxy
from easycluster_protocol._objects.proxy_classes import (
    DefaultRemoteProxy,
    FileProxy,
    GeneratorProxy,
    ModuleProxy,
    SelfIterProxy,
)
from easycluster_protocol._values import exceptions, named_tuples, views

from .plain_names import check
from .policy import find_defined
from .room import count_values
from .untrusted import UntrustedName, is_class, is_instance, make_visible, type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

    from .policy import Policy

_LONGEST_NAME = 255
_MOST_NAMES = 4096
_MOST_FIELDS = 1000

#: Classes of proxies that a server names; those of the user's come from definitions, or are trusted by name.
PROXIES = {
    (cls.__module__, cls.__qualname__): cls
    for cls in (RemoteProxy, DefaultRemoteProxy, FileProxy, GeneratorProxy, ModuleProxy, SelfIterProxy)
}

#: Errors of ours.
ERRORS = {
    (errors.__name__, name): value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.EasyClusterError)
}

#: Tuples of Python's own that have names for their items.
_STRUCTS = {
    ("os", "stat_result"),
    ("os", "statvfs_result"),
    ("os", "terminal_size"),
    ("os", "times_result"),
    ("os", "uname_result"),
    ("posix", "times_result"),
    ("posix", "uname_result"),
    ("pwd", "struct_passwd"),
    ("grp", "struct_group"),
    ("resource", "struct_rusage"),
    ("time", "struct_time"),
}

#: What a host may set of an exception although Python has it for itself.
_SPECIAL_ATTRIBUTES = frozenset(("__notes__", "__cause__", "__context__", "__suppress_context__"))

#: Python reads bytes at these positions, and does not look whether they are there.
_POSITIONS = frozenset(("start", "end", "object"))

_MOST_IN_ARGUMENTS = 10_000

#: Groups of exceptions, from Python 3.11 on.
_GROUP: tuple[type, ...] = tuple(
    getattr(builtins, name) for name in ("BaseExceptionGroup",) if hasattr(builtins, name)
)


def check_description(policy: Policy, descriptor: Value) -> None:
    """Raise unless a description of proxies is one that servers make, and of a bearable size."""
    if type_of(descriptor) is int or is_class(descriptor, RemoteProxy):
        return
    check(type_of(descriptor) is tuple and 4 <= len(descriptor) <= 7, "proxy")
    for part in descriptor:
        if type_of(part) is tuple:
            check(len(part) <= _MOST_NAMES, "proxy")
            check(all(type_of(each) is str and len(each) <= _LONGEST_NAME for each in part), "proxy")
        else:
            check(
                type_of(part) in {bool, str} and (part in {True, False} or len(part) <= _LONGEST_NAME),
                "proxy",
            )
    policy.count_description(descriptor)


def find_method(owner: Value, name: Value) -> Value:
    """Return a method of a proxy."""
    check(is_instance(owner, RemoteProxy) and type_of(name) is str and len(name) <= _LONGEST_NAME, "method")
    check(get_forwarded_kind(type_of(owner), name) == METHOD or not name.startswith("_"), "method")
    return proxy_methods.ProxyMethod(owner, name)


def find_refused_method(owner: Value, name: Value) -> Value:
    """Return a method of a proxy that it refuses to call."""
    check(is_instance(owner, RemoteProxy) and type_of(name) is str and name.isidentifier(), "method")
    return proxy_methods.RefusedMethod(owner, name)


def make_named(policy: Policy, description: Value, items: Value) -> Value:
    """Return a named tuple; of a class that is unknown here, an equal one."""
    cls = _find_tuple(policy, description)
    check(type_of(items) is tuple, "named tuple")
    if cls is None:
        return named_tuples.make_copied(description, items, {})
    return cls.__new__(cls, *items)


def make_struct(policy: Policy, description: Value, items: Value, others: Value) -> Value:
    """Return one of Python's tuples whose items have names; of a class that is unknown here, an equal one."""
    cls = _find_tuple(policy, description)
    check(type_of(items) is tuple and type_of(others) is dict, "named tuple")
    check(all(type_of(name) is str and name.isidentifier() for name in others), "named tuple")
    if cls is not None:
        try:
            return cls(items, others) if hasattr(cls, "n_sequence_fields") else cls.__new__(cls, *items)
        except TypeError:  # that of another version may need more items
            pass
    return named_tuples.make_copied(description, items, others)


def _find_tuple(policy: Policy, description: Value) -> Value:
    """Return the class of tuples that a description names, None if it is unknown here."""
    check(type_of(description) is tuple and len(description) == 3, "named tuple")
    module, name, fields = description
    check(type_of(module) is str and type_of(name) is str and len(module) + len(name) <= 1000, "named tuple")
    check(
        name.replace(".", "").replace("<locals>", "").isidentifier() and module.isprintable(), "named tuple"
    )
    check(type_of(fields) is tuple and len(fields) <= _MOST_FIELDS, "named tuple")
    check(all(type_of(each) is str and len(each) <= _LONGEST_NAME for each in fields), "named tuple")
    if (module, name) in _STRUCTS:
        return vars(sys.modules.get(module) or __import__(module)).get(name)
    found: Value = policy.classes.get((module, name)) or find_defined_tuple(module, name)
    # Other tuples take one argument, and make their items of it.
    check(found is None or hasattr(found, "_fields") or hasattr(found, "n_sequence_fields"), "named tuple")
    if found is None and named_tuples.find_class(module, name) is not None:
        raise UntrustedName(module, name)
    return found


def find_defined_tuple(module: str, name: str) -> Value:
    """Return the class of tuples of this name in the definitions, or None."""
    found: Value = find_defined(module, name)
    return found if is_class(found, tuple) else None


def make_keys(items: Value) -> Value:
    """Return a view of keys."""
    check(type_of(items) is list, "view")
    return views.make_keys(items)


def make_values(items: Value) -> Value:
    """Return a view of values."""
    check(type_of(items) is list, "view")
    return views.make_values(items)


def make_items(items: Value) -> Value:
    """Return a view of pairs."""
    check(type_of(items) is list and all(type_of(each) is tuple for each in items), "view")
    return views.make_items(items)


def make_mapping(items: Value) -> Value:
    """Return a view of a dictionary."""
    check(type_of(items) is dict, "view")
    return views.make_mapping(items)


def make_exception(cls: Value, args: tuple[Value, ...]) -> BaseException:
    """Return an exception that is made without the constructor of a class of the user's."""
    check(is_class(cls, Exception) and type_of(args) is tuple, "exception")
    check(count_values(args, _MOST_IN_ARGUMENTS) <= _MOST_IN_ARGUMENTS, "exception")
    if is_class(cls, _GROUP) and len(args) == 2:  # which would make a tuple of anything
        check(type_of(args[1]) in {list, tuple}, "exception")
    if is_class(cls, UnicodeError) and len(args) == 5:
        _, content, start, end, _ = args
        check(type_of(content) in {str, bytes} and type_of(start) is int and type_of(end) is int, "exception")
        check(0 <= start <= end <= len(content), "exception")
    return exceptions.rebuild(
        cls, tuple(each if type_of(each) is not str else make_visible(each) for each in args)
    )


def rebuild(cls: Value, args: Value, attributes: Value = None) -> BaseException:
    """Return an exception, see `exceptions.rebuild`."""
    error = make_exception(cls, args)
    if attributes is not None:
        set_attributes(error, attributes)
    return error


def set_attributes(error: Value, attributes: Value) -> None:
    """Set attributes of an exception."""
    check(is_instance(error, Exception) and type_of(attributes) is dict, "exception")
    for name in attributes:
        check(type_of(name) is str and name.isidentifier(), "exception")
        check(not name.startswith("__") or name in _SPECIAL_ATTRIBUTES, "exception")
        # What `raise` and our own code call must stay what it is.
        check(not callable(getattr(BaseException, name, None)), "exception")
        check(not (is_instance(error, UnicodeError) and name in _POSITIONS), "exception")
    exceptions.set_attributes(
        error,
        {name: make_visible(value) if type_of(value) is str else value for name, value in attributes.items()},
    )
