"""Documentation of objects on a server, from this process's copies of their classes.

Shells show docstrings and signatures of what they are asked about. The definitions are here as well, so no
call is made for that, and no code of the script runs: names are looked up in the dictionaries of modules and
classes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import (
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING

from easycluster_protocol._objects.exports import SETTINGS, is_method
from easycluster_protocol._objects.forwarders import METHOD, get_forwarded_kind

if TYPE_CHECKING:
    from easycluster_protocol._types import Value

#: What documents a method: functions of the script's, and methods that are written in C.
_METHOD_TYPES = (
    FunctionType,
    classmethod,
    staticmethod,
    ClassMethodDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)

#: Attribute of a function that forwards a method → the name of the class whose documentation it has.
_SOURCE = "_easycluster_source"

#: Stands for that name if classes with different documentation share the function.
_MIXED = ""


def find_in(value: Value, parts: Iterable[str]) -> Value:
    """Return what a dotted name means in a module or class, None if there is nothing of that name.

    Args:
        value: the module or class.
        parts: the parts of the name.
    """
    for part in parts:
        if isinstance(value, type):
            value = next((vars(base)[part] for base in value.__mro__ if part in vars(base)), None)
        else:
            value = vars(value).get(part) if isinstance(value, ModuleType) else None
    return value


def find_class(full_name: str) -> type | None:
    """Return this process's class of a name that begins with its module, None if there is none."""
    parts = full_name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:length]))
        if module is not None:
            found = find_in(module, parts[length:])
            return found if isinstance(found, type) else None
    return None


def get_docstring(found: Value) -> str | None:
    """Return the docstring of a module, class, function or property; the class of any other value says
    nothing of the value."""
    has_one = isinstance(found, (ModuleType, type, property, *_METHOD_TYPES))
    docstring = found.__doc__ if has_one else None
    return docstring if isinstance(docstring, str) else None


def get_function(found: Value) -> Value:
    """Return the function of a class method or static method, any other value as it is."""
    return found.__func__ if isinstance(found, (classmethod, staticmethod)) else found  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def list_members(owner: Value) -> list[str]:
    """Return the public names in a class or module, except for settings of classes of server objects."""
    names: set[str] = set()
    for part in owner.__mro__ if isinstance(owner, type) else (owner,):
        if isinstance(part, (type, ModuleType)):
            names.update(vars(part))
    if isinstance(owner, type):
        names.difference_update(SETTINGS)
    return sorted(name for name in names if not name.startswith("__"))


def list_attributes(cls: type) -> list[str]:
    """Return the public attributes of the instances of a class that it defines or annotates, without its
    methods."""
    names = {name for name in list_members(cls) if not is_method(find_in(cls, [name]))}
    for base in cls.__mro__:
        names.update(vars(base).get("__annotations__", ()))
    return sorted(name for name in names.difference(SETTINGS) if not name.startswith("_"))


def document_methods(cls: type, class_name: str) -> None:
    """Give the methods of a class of proxies the docstrings and signatures of the methods that they forward.

    Classes with the same exports have the same class of proxies: methods that these document in different
    ways have no documentation.

    Args:
        cls: the class of proxies.
        class_name: the full name of the class of their objects.
    """
    original = find_class(class_name)
    #: Full name of a class → the class from which the documentation was taken.
    documented: dict[str, type] = vars(cls).get("_easycluster_documented", {})
    if original is None or documented.get(class_name) is original:
        return
    # A list, because another client's thread may do the same at this moment.
    for name, forwarder in list(vars(cls).items()):
        if isinstance(forwarder, FunctionType) and get_forwarded_kind(cls, name) == METHOD:
            _document(forwarder, class_name, find_in(original, [name]))
    documented = {**documented, class_name: original}
    setattr(cls, "_easycluster_documented", documented)  # noqa: B010 -- type checkers know no such attribute


def _document(forwarder: FunctionType, class_name: str, method: Value) -> None:
    attributes = vars(forwarder)
    source = attributes.setdefault(_SOURCE, class_name)
    if source != class_name and attributes.get("__wrapped__", _MIXED) is method:
        return  # both classes inherit it
    for name in "__wrapped__", "__signature__":
        attributes.pop(name, None)
    if source != class_name:
        attributes[_SOURCE], forwarder.__doc__ = _MIXED, None
        return
    forwarder.__doc__ = get_docstring(method)
    if isinstance(method, FunctionType):
        attributes["__wrapped__"] = method  # its signature is taken from there when somebody asks for it
    elif get_function(method) is not method:
        _copy_signature(forwarder, method)


def _copy_signature(forwarder: FunctionType, method: Value) -> None:
    """Give a method of proxies the signature of a class method or static method."""
    import inspect  # few classes have such methods

    try:
        signature = inspect.signature(get_function(method))
    except (TypeError, ValueError):
        return
    parameters = list(signature.parameters.values())
    if isinstance(method, classmethod):
        parameters = parameters[1:]
    owner = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    vars(forwarder)["__signature__"] = signature.replace(parameters=[owner, *parameters])
