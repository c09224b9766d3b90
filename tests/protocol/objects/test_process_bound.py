"""Methods whose answer means something only in the process of the object: which they are, and what they raise."""

from __future__ import annotations

import array
import io
import os
import pathlib
import socket
from typing import Any

import pytest

from easycluster_protocol._objects import process_bound
from easycluster_protocol._objects.exports import Exports, ServerObject, _make_exports
from easycluster_protocol._objects.forwarders import get_forwarded_kind
from easycluster_protocol._objects.process_bound import REFUSED
from easycluster_protocol._objects.proxy_classes import FileProxy
from helpers.fake_proxies import State, make, sent


def exports_of(cls: type, **settings: Any) -> Exports:
    """Return the exports of a class that is not registered."""
    return _make_exports(cls, settings)


class Buffer(ServerObject):
    """Has a method of each kind."""

    def fileno(self) -> int:
        return 5

    def __fspath__(self) -> str:
        return "/path"

    def data_ptr(self) -> int:
        return 1 << 40

    def detach(self) -> Any:
        return self

    def read(self) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("cls", "refused"),
    [
        (Buffer, {"fileno", "__fspath__", "data_ptr"}),
        (socket.socket, {"fileno", "detach"}),
        (pathlib.PurePosixPath, {"__fspath__"}),
        (array.array, {"buffer_info"}),
        (io.FileIO, {"fileno"}),
        (dict, set()),
    ],
)
def test_what_is_refused(cls: type, refused: set[str]) -> None:
    """Numbers of descriptors, paths and addresses are; the methods can be called by name all the same."""
    exports = exports_of(cls)

    assert exports.refused - {"share"} == refused  # sockets of Windows have it
    assert exports.refused <= exports.methods
    methods, *_, names, _, _ = exports.descriptor  # type: ignore[misc]
    assert set(names) - process_bound.ARRAY_METHODS == exports.refused
    assert not exports.refused.intersection(methods)


def test_explicit_exports_are_obeyed() -> None:
    """A method that a class names itself is offered, also beside ``@auto``."""
    assert exports_of(Buffer, export_methods=("fileno", "__fspath__")).refused == frozenset()
    assert exports_of(Buffer, export_methods=("@auto", "fileno")).refused == {"__fspath__", "data_ptr"}


def test_refusals_ask_nobody() -> None:
    """A proxy refuses without a message to the server; the error names the host and both ways to do it."""
    proxy = make(exports_of(Buffer).descriptor)

    with pytest.raises(io.UnsupportedOperation, match=r"^fileno\(\) of object 7 on host:1: ") as caught:
        proxy.fileno()
    with pytest.raises(TypeError, match=r"^__fspath__\(\) of object 7"):
        os.fspath(proxy)
    with pytest.raises(TypeError, match="address"):
        proxy.data_ptr(nonblocking=True)
    assert "host.os.fsync(file); raw_call_method('fileno', ()) returns" in str(caught.value)
    assert sent(proxy) == []
    proxy.detach()
    proxy.raw_call_method("fileno", ())
    assert sent(proxy) == [("detach", (), {}), ("fileno", (), {}, {})]
    assert type(proxy).__name__ == "dynamic_proxy___fspath___data_ptr_detach_fileno_read"
    with pytest.raises(AttributeError, match="cannot be set: it is a method"):
        proxy.fileno = 5


def test_files() -> None:
    """Proxies of files refuse only their number."""
    proxy: Any = FileProxy.__new__(FileProxy)
    object.__setattr__(proxy, "_easycluster_state", State(7))

    with pytest.raises(io.UnsupportedOperation):
        proxy.fileno()
    proxy.detach()

    assert sent(proxy) == [("detach", (), {})]
    assert get_forwarded_kind(FileProxy, "fileno") == REFUSED


def test_attributes_that_are_handles() -> None:
    """`ctypes` would pass the attribute ``_as_parameter_`` to local code: it is not forwarded by default."""
    proxy = make(((), (), (), True))

    assert not hasattr(proxy, "_as_parameter_")
    assert sent(proxy) == []
    make(((), ("_as_parameter_",), (), False))._as_parameter_  # noqa: B018 -- named, so it can be asked for


def test_names_of_a_later_version() -> None:
    """A refusal that is not known here is left out."""
    assert list(process_bound.make_refusals(("fileno", "__later__"))) == ["fileno"]
