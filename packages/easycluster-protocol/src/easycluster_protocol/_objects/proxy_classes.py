"""Kinds of proxies: to derive from; of generators, files and modules; made on the fly."""

from __future__ import annotations

from _io import BytesIO, StringIO, _IOBase  # the base of all files, which `io.IOBase` is not
from functools import lru_cache
from types import GeneratorType, ModuleType
from typing import TYPE_CHECKING, Any, Iterable, Optional, Tuple

from .exports import ServerObject, copy_instances, later, make_server_class
from .proxies import ATTRIBUTE, CACHED, METHOD, RemoteProxy, forwarded, missing_attribute, raise_missing

if TYPE_CHECKING:
    from typing_extensions import Self

#: More names than any class has. They become a class here, which is kept.
_MAX_NAMES = 1 << 14

_FIXED = {METHOD: "it is a method", "": "every proxy has it"}


def _is_local(proxy: Any, name: str) -> bool:
    return any(name in vars(base) for base in type(proxy).__mro__) or name in vars(proxy)


class DefaultRemoteProxy(RemoteProxy):
    """A proxy that forwards every attribute that its class does not define, and makes methods callable."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(missing_attribute(type(self), name))
        raise_missing(self, name)
        return self._easycluster_state.get_attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_local(self, name):
            object.__setattr__(self, name, value)
        else:
            self._easycluster_state.operation("set_attribute", (self, name, value))

    def __delattr__(self, name: str) -> None:
        if _is_local(self, name):
            object.__delattr__(self, name)
        else:
            self._easycluster_state.operation("delete_attribute", (self, name))


class SelfIterProxy(RemoteProxy):
    """A proxy of an iterator: ``iter()`` of it is itself, as of most iterators, without asking the server."""

    if TYPE_CHECKING:
        proxy_methods: Any

    proxy_methods = ("__next__",)

    if TYPE_CHECKING:  # novm

        def __next__(self, **options: Any) -> Any: ...

    def __iter__(self) -> Self:
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

    if TYPE_CHECKING:  # novm
        # Results are Any, here and below: with `nonblocking=True` among the options they are responses.
        def send(self, value: Any, **options: Any) -> Any: ...
        def throw(self, error: Any, *more: Any, **options: Any) -> Any: ...
        def close(self, **options: Any) -> Any: ...


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

    if TYPE_CHECKING:  # novm
        closed: bool
        encoding: Optional[str]
        errors: Optional[str]
        line_buffering: bool
        mode: str
        name: Any
        newlines: Any

        def close(self, **options: Any) -> Any: ...
        def detach(self, **options: Any) -> Any: ...
        def fileno(self, **options: Any) -> Any: ...
        def flush(self, **options: Any) -> Any: ...
        def isatty(self, **options: Any) -> Any: ...
        def peek(self, size: int = ..., **options: Any) -> Any: ...
        def read(self, size: Optional[int] = ..., **options: Any) -> Any: ...
        def read1(self, size: int = ..., **options: Any) -> Any: ...
        def readable(self, **options: Any) -> Any: ...
        def readall(self, **options: Any) -> Any: ...
        def readline(self, size: int = ..., **options: Any) -> Any: ...
        def readlines(self, hint: int = ..., **options: Any) -> Any: ...
        def seek(self, offset: int, whence: int = ..., **options: Any) -> Any: ...
        def seekable(self, **options: Any) -> Any: ...
        def tell(self, **options: Any) -> Any: ...
        def truncate(self, size: Optional[int] = ..., **options: Any) -> Any: ...
        def writable(self, **options: Any) -> Any: ...
        def write(self, data: Any, **options: Any) -> Any: ...
        def writelines(self, lines: Iterable[Any], **options: Any) -> Any: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class ModuleProxy(DefaultRemoteProxy):
    """A proxy of a module."""


class _Dynamic(RemoteProxy):
    """Base of the classes that are made on the fly: what their proxies have is the server's, no more."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not _is_local(self, name):
            raise AttributeError(missing_attribute(type(self), name))
        _set_exported(self, name, value)


class _DynamicDefault(DefaultRemoteProxy):
    """The same for server objects that export any attribute."""

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_local(self, name):
            _set_exported(self, name, value)
        else:
            DefaultRemoteProxy.__setattr__(self, name, value)


def _set_exported(proxy: RemoteProxy, name: str, value: Any) -> None:
    what = forwarded(type(proxy), name)
    if what not in (ATTRIBUTE, CACHED):
        reason = _FIXED[what]
        raise AttributeError(f"{type(proxy).__name__!r} object attribute {name!r} cannot be set: {reason}")
    object.__setattr__(proxy, name, value)


def proxy_type(descriptor: Any) -> Any:
    """Return the class of proxies that a server describes: a class, or the names that are exported.

    Raises:
        TypeError: the description cannot be used.
    """
    if isinstance(descriptor, type) and issubclass(descriptor, RemoteProxy):
        return descriptor
    if type(descriptor) is tuple and len(descriptor) == 4:  # pyright: ignore[reportUnknownArgumentType]
        _check_names(*descriptor[:3])  # pyright: ignore[reportUnknownArgumentType]
        return _dynamic_type(*descriptor)  # pyright: ignore[reportUnknownArgumentType]
    raise TypeError(f"a server object's proxy class must derive from RemoteProxy, not be {descriptor!r:.200}")


def _check_names(*parts: Any) -> None:
    if any(type(part) is not tuple for part in parts) or sum(map(len, parts)) > _MAX_NAMES:
        raise TypeError(f"a server object exports three tuples of {_MAX_NAMES} names at most")
    for part in parts:
        for name in part:
            if type(name) is not str:
                raise TypeError(f"a server object exports names, not a {type(name).__qualname__}")


@lru_cache(maxsize=1024)
def _dynamic_type(
    methods: Tuple[str, ...], attrs: Tuple[str, ...], cached: Tuple[str, ...], any_attribute: bool
) -> Any:
    name = "_".join(("dynamic_proxy", *sorted(methods), *sorted(attrs), *sorted(cached)))
    base = _DynamicDefault if any_attribute else _Dynamic
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
    (_IOBase, FileProxy),
):
    make_server_class(_kind, proxy_class=_proxy_class)

# Files in memory are values as others are: exceptions hold them, too.
copy_instances(BytesIO)
copy_instances(StringIO)

# It is no file by its bases, and pickles itself into something that cannot be unpickled.
later["tempfile", "_TemporaryFileWrapper"] = {"proxy_class": FileProxy}
