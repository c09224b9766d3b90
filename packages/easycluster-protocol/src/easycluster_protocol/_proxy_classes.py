"""Kinds of proxies: to derive from; of generators, files and modules; made on the fly."""

from __future__ import annotations

import io
from functools import lru_cache
from types import GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, Tuple

from ._exports import ServerObject, make_server_class
from ._proxies import RemoteProxy, missing_attribute


def _is_local(proxy: Any, name: str) -> bool:
    return any(name in vars(base) for base in type(proxy).__mro__) or name in vars(proxy)


class DefaultRemoteProxy(RemoteProxy):
    """A proxy that forwards every attribute that its class does not define, and makes methods callable."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(missing_attribute(type(self), name))
        return self._easycluster.get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_local(self, name):
            object.__setattr__(self, name, value)
        else:
            self._easycluster.operation("set_attribute", (self, name, value))

    def __delattr__(self, name: str) -> None:
        if _is_local(self, name):
            object.__delattr__(self, name)
        else:
            self._easycluster.operation("delete_attribute", (self, name))


class SelfIterProxy(RemoteProxy):
    """A proxy of an iterator: ``iter()`` of it is itself, as of most iterators, without asking the server."""

    if TYPE_CHECKING:
        proxy_methods: Any

    proxy_methods = ("__next__",)

    def __iter__(self) -> Any:
        return self


class RemoteIterator(ServerObject):
    """On the server: an iterator of a server object."""

    proxy_class = SelfIterProxy

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    def __next__(self) -> Any:
        return next(self._iterator)


class GeneratorProxy(SelfIterProxy):
    """A proxy of a generator."""

    proxy_methods = ("__next__", "send", "throw", "close")


class FileProxy(SelfIterProxy):
    """A proxy of an open file; each line that it is asked for comes by itself."""

    proxy_methods = (
        "__next__",
        "close",
        "detach",
        "fileno",
        "flush",
        "getvalue",
        "isatty",
        "peek",
        "read",
        "read1",
        "readable",
        "readall",
        "readline",
        "readlines",
        "seek",
        "seekable",
        "tell",
        "truncate",
        "writable",
        "write",
        "writelines",
    )
    proxy_attrs = ("closed", "encoding", "errors", "line_buffering", "mode", "name", "newlines")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class ModuleProxy(DefaultRemoteProxy):
    """A proxy of a module."""


def proxy_type(descriptor: Any) -> Any:
    """Return the class of proxies that a server describes: a class, or the names that are exported.

    Raises:
        TypeError: the description cannot be used.
    """
    if isinstance(descriptor, type) and issubclass(descriptor, RemoteProxy):
        return descriptor
    if isinstance(descriptor, tuple):
        return _dynamic_type(*descriptor)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"a server object's proxy class must derive from RemoteProxy, not be {descriptor!r}")


@lru_cache(maxsize=1024)
def _dynamic_type(
    methods: Tuple[str, ...], attrs: Tuple[str, ...], cached: Tuple[str, ...], any_attribute: bool
) -> Any:
    name = "_".join(("dynamic_proxy", *sorted(methods), *sorted(attrs), *sorted(cached)))
    base = DefaultRemoteProxy if any_attribute else RemoteProxy
    return type(
        name,
        (base,),
        {
            "__module__": __name__,
            "proxy_methods": methods,
            "proxy_attrs": attrs,
            "proxy_attrs_cache": cached,
        },
    )


for _kind, _proxy_class in (
    (GeneratorType, GeneratorProxy),
    (ModuleType, ModuleProxy),
    (io.TextIOWrapper, FileProxy),
    (io.BufferedReader, FileProxy),
    (io.BufferedWriter, FileProxy),
    (io.BufferedRandom, FileProxy),
    (io.FileIO, FileProxy),
):
    make_server_class(_kind, proxy_class=_proxy_class)
