r"""Modules that the client sends while the connection is open: imported from memory, never written to disk.

Functions that go by value need them. Where our own code came through ssh, the bootstrap's importer takes
them instead.

A message of kind MODULES holds, compressed by zlib, for each module ``name is_package length\n`` and its
source in UTF-8, as a bundle of the bootstrap does.
"""

from __future__ import annotations

import sys
import zlib
from importlib.machinery import ModuleSpec, SourceFileLoader
from typing import TYPE_CHECKING, Dict, NoReturn, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from types import ModuleType

    from easycluster_protocol._types import Buffer

    #: By the names of modules: the source, and whether the module is a package.
    Sources = Dict[str, Tuple[bytes, bool]]

#: The largest total size of the modules of one message, uncompressed, in bytes.
_MAX_BYTES = 16 << 20


class _MemoryLoader(SourceFileLoader):
    """Loads a module whose source it holds."""

    def __init__(self, fullname: str, path: str, source: bytes) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_data(self, path: str) -> bytes:
        return self._source

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(f"{path} is not on disk")  # so no bytecode is looked for, or written


class SentModules:
    """An importer of the modules that the client has sent.

    The thread that reads adds modules; any thread may import them.
    """

    def __init__(self) -> None:
        self._sources: Sources = {}

    def add(self, packed: Buffer) -> None:
        """Take in the modules of one message.

        Raises:
            ValueError: they cannot be read.
        """
        self._sources.update(_unpack(packed))
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Return the spec of a module that the client has sent, else None."""
        found = self._sources.get(fullname)
        if found is None:
            return None
        source, is_package = found
        # No name in angle brackets, or tracebacks would show no source lines.
        file = f"easycluster-supplied/{fullname.replace('.', '/')}{'/__init__' if is_package else ''}.py"
        loader = _MemoryLoader(fullname, file, source)
        # Not by `spec_from_file_location`, which puts the current folder before it and looks for
        # submodules there.
        spec = ModuleSpec(fullname, loader, origin=file, is_package=is_package)
        spec.has_location = True
        return spec


def _unpack(packed: Buffer) -> Sources:
    try:
        return _split(_decompress(packed))
    except (zlib.error, ValueError) as error:
        raise ValueError(f"modules that the client sent cannot be read: {error}") from error


def _decompress(packed: Buffer) -> bytes:
    engine = zlib.decompressobj()
    data = engine.decompress(packed, _MAX_BYTES)
    if engine.unconsumed_tail or engine.unused_data or not engine.eof:
        size = f"{len(packed)} bytes, decompressed {len(data)}"
        raise ValueError(f"they are cut short, or exceed the {_MAX_BYTES >> 20} MiB allowed ({size})")
    return data


def _split(data: bytes) -> Sources:
    sources: Sources = {}
    start = 0
    while start < len(data):
        end = data.index(b"\n", start)
        name, is_package, size = data[start:end].decode().split()
        start = end + 1 + int(size)
        if not end < start <= len(data):
            raise ValueError(f"module {name} cannot have {size} bytes")
        sources[name] = data[end + 1 : start], is_package == "1"
    return sources


sent_modules = SentModules()
