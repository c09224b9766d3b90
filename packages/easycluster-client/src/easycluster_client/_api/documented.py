"""Docstrings, signatures and completions of names on a server, from the copy of the definitions here."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING

from easycluster_client._calls.documentation import get_docstring, get_function

from .definitions_here import find_definition, list_members

if TYPE_CHECKING:
    import inspect

    from easycluster_client._calls.owner import Owner
    from easycluster_protocol._types import Value


class _OfInstance:
    def __init__(self, find: Callable[[Value], Value], of_class: tuple[Value, ...]) -> None:
        self._find = find
        self._of_class = of_class

    def __get__(self, instance: object | None, cls: type) -> Value:
        if instance is not None:
            return self._find(instance)
        for value in self._of_class:
            return value
        raise AttributeError(f"type object {cls.__name__!r} has no such attribute")


def of_instance(find: Callable[[Value], Value], *of_class: Value) -> Value:
    """Return an attribute that the instances of a class compute, and that the class itself has for itself.

    Args:
        find: computes the attribute of an instance.
        of_class: that of the class; without it, the class has none.
    """
    return _OfInstance(find, of_class)


def get_documentation(client: Owner, path: str) -> str | None:
    """Return the docstring of a definition, None if it has none."""
    return get_docstring(find_definition(client._easycluster_calls.definitions, path))


def get_signature(client: Owner, path: str) -> inspect.Signature:
    """Return the signature of a definition.

    Raises:
        AttributeError: it has none.
    """
    import inspect  # only tools ask for signatures

    found = find_definition(client._easycluster_calls.definitions, path)
    try:
        signature = inspect.signature(get_function(found))
    except (TypeError, ValueError):
        raise AttributeError(f"the signature of {path} is not known here") from None
    parameters = list(signature.parameters.values())
    return signature.replace(parameters=parameters[1:]) if isinstance(found, classmethod) else signature


def get_wrapped(client: Owner, path: str) -> Value:
    """Return the function or class of a definition, where shells look for its source.

    Raises:
        AttributeError: there is none.
    """
    found = get_function(find_definition(client._easycluster_calls.definitions, path))
    if isinstance(found, (FunctionType, type)):
        return found
    raise AttributeError(f"the source of {path} is not known here")


def list_completions(name: object, client: Owner, path: str) -> list[str]:
    """Return the attributes of a name, and the names of the definitions that begin with it."""
    return [*object.__dir__(name), *list_members(client._easycluster_calls.definitions, path)]
