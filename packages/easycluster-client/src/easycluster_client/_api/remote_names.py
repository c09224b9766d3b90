"""Remote names: dotted names on the server, as in ``client.a.b.c``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from easycluster_protocol._objects.introspection import TOOL_NAMES, is_for_display

from .definitions_here import find_definition
from .documented import get_documentation, get_signature, get_wrapped, list_completions, of_instance
from .used_as_value import NotAValue

if TYPE_CHECKING:
    from easycluster_client._calls.owner import Owner
    from easycluster_protocol._types import Value


def check_forwardable(owner: str, name: str, client: Owner, path: str) -> None:
    """Raise `AttributeError` for a name that is not forwarded to the server.

    Python and its tools often look for dunder names, and notebooks for ``_repr_html_`` and the like. They
    mean the object here, not one on the server. Other names that tools ask for belong to the server if they
    are among the definitions.

    Args:
        owner: the object whose attribute is asked for.
        name: the name.
        client: the client.
        path: the dotted name whose last part is `name`.
    """
    if (name.startswith("__") and name.endswith("__")) or is_for_display(name):
        raise AttributeError(
            f"{owner} has no attribute {name!r} (such names are not forwarded to the server)"
        )
    if name in TOOL_NAMES and find_definition(client._easycluster_calls.definitions, path) is None:
        raise AttributeError(
            f"{owner} has no attribute {name!r}: tools ask for such names, so they are forwarded only if the"
            f" definitions have them; write host.call({path!r}, ...) to call {path} on the server"
        )


class RemoteName(NotAValue):
    """A dotted name on the server: call it, or use ``.value``; any other attribute is a longer name."""

    __slots__ = ("_easycluster_client", "_easycluster_path")

    _easycluster_client: Owner

    _easycluster_path: str

    if TYPE_CHECKING:
        #: A copy of the object of this name.
        value: Value

    # What shells show of a name is known here, from the copy of the definitions.
    __doc__ = of_instance(lambda name: get_documentation(*_where(name)) or RemoteName.__doc__, __doc__)
    __signature__ = of_instance(lambda name: get_signature(*_where(name)))
    __wrapped__ = of_instance(lambda name: get_wrapped(*_where(name)))

    def __dir__(self) -> Iterable[str]:
        return list_completions(self, self._easycluster_client, self._easycluster_path)

    def __init__(self, client: Owner, path: str) -> None:
        _set_client(self, client)
        _set_path(self, path)

    def _easycluster_get_path(self) -> str:
        return self._easycluster_path

    def __repr__(self) -> str:
        return f"<{self._easycluster_path} on {self._easycluster_client.peername}>"

    def __getattr__(self, name: str) -> Value:
        if name[0] == "_" or name in TOOL_NAMES:
            check_forwardable(repr(self), name, self._easycluster_client, f"{self._easycluster_path}.{name}")
        # Not a property: when the server raises AttributeError, Python would look here for a name ``value``.
        if name == "value":
            return self._easycluster_client._easycluster_calls.operation(
                "get_value", (self._easycluster_path,)
            )
        return RemoteName(self._easycluster_client, f"{self._easycluster_path}.{name}")

    def __setattr__(self, name: str, value: Value) -> None:
        if name != "value":
            raise AttributeError(
                f"to set {self._easycluster_path}.{name} on the server, assign to .{name}.value"
            )
        self._easycluster_client._easycluster_calls.operation("set_value", (self._easycluster_path, value))

    def __call__(self, /, *args: Value, **kwargs: Value) -> Value:
        __tracebackhide__ = True
        return self._easycluster_client._easycluster_calls.call(self._easycluster_path, args, kwargs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RemoteName):
            return (
                self._easycluster_client is other._easycluster_client
                and self._easycluster_path == other._easycluster_path
            )
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash((id(self._easycluster_client), self._easycluster_path))

    def __reduce_ex__(self, protocol: Value) -> NoReturn:
        raise TypeError(
            f"{self!r} is a name on a server, not a value: send {self._easycluster_path}.value instead"
        )


def _where(name: RemoteName) -> tuple[Owner, str]:
    return name._easycluster_client, name._easycluster_path


# Shells show the signature of `__call__` beside that of the definition.
RemoteName.__call__.__annotations__.clear()

# The slots have setters of their own: `__setattr__` is taken, and each call sets them.
_set_client = RemoteName.__dict__["_easycluster_client"].__set__
_set_path = RemoteName.__dict__["_easycluster_path"].__set__
