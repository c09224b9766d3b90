"""Dotted names of the server: what ``client.a.b.c`` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from .client import Client

#: What nobody compares with a name, unless ``.value`` was forgotten.
_VALUES = (bool, bytes, complex, dict, float, int, list, set, str, tuple)


def check_forwardable(owner: str, name: str) -> None:
    """Raise `AttributeError` for a name that is never forwarded to the server.

    Python and its tools ask objects for dunder names all the time; none of these questions is meant
    for the server. Notebooks ask for ``_repr_html_`` and the like.
    """
    if (name.startswith("__") and name.endswith("__")) or name.startswith(("_repr_", "_ipython_")):
        raise AttributeError(
            f"{owner} has no attribute {name!r} (such names are not forwarded to the server)"
        )


class RemoteName:
    """A dotted name on the server. Calling it calls what bears that name; ``.value`` reads it,
    ``.value = x`` sets it; any other attribute is a longer name."""

    __slots__ = ("_client", "_path")

    _client: Client
    _path: str

    if TYPE_CHECKING:
        #: The object that bears this name, as a copy.
        value: Any

    def __init__(self, client: Client, path: str) -> None:
        _set_client(self, client)
        _set_path(self, path)

    def __repr__(self) -> str:
        return f"<{self._path} on {self._client.peername}>"

    def __getattr__(self, name: str) -> Any:
        if name[0] == "_":
            check_forwardable(repr(self), name)
        # Not a property: when the server raises AttributeError, Python would come here for a name ``value``.
        if name == "value":
            return self._client._easycluster.operation("get_value", (self._path,))
        return RemoteName(self._client, f"{self._path}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "value":
            raise AttributeError(f"to set {self._path}.{name} on the server, assign to .{name}.value")
        self._client._easycluster.operation("set_value", (self._path, value))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._client._easycluster.call(self._path, args, kwargs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RemoteName):
            return self._client is other._client and self._path == other._path
        if isinstance(other, _VALUES):
            raise TypeError(
                f"{self!r} is a name on a server, not a value: compare {self._path}.value instead"
            )
        return NotImplemented

    def __hash__(self) -> int:
        return hash((id(self._client), self._path))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} is a name on a server, not a value: send {self._path}.value instead")


# The slots' own setters: `__setattr__` is taken, and this is on the way of every call.
_set_client = RemoteName.__dict__["_client"].__set__
_set_path = RemoteName.__dict__["_path"].__set__
