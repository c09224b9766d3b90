"""A cache of bundles of modules, for the next run of a master: making a bundle takes half a second.

A cached bundle lies where Python keeps its compiled modules, is as trusted as they are, and follows the same
rules: it is valid while the sources are unchanged, it is not written when Python is to write no bytecode, and
where nothing can be written it is made again each time.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder
from importlib.util import cache_from_source


def cached(name: str, packages: Sequence[str], make: Callable[[], bytes]) -> bytes:
    """Return a bundle from the cache, if its sources are unchanged; else make it and write it to the cache.

    Args:
        name: the name of the bundle, a part of its file's name.
        packages: the packages whose sources the bundle depends on.
        make: makes the bundle.
    """
    try:
        path = f"{os.path.splitext(cache_from_source(__file__))[0]}.{name}"
        state = "".join(_list_sources(packages)).encode()
    except (NotImplementedError, OSError):  # Python has no cache, or the packages are in no folder
        return make()
    found = _read(path, state)
    if found is None:
        found = make()
        if not sys.dont_write_bytecode:
            _write(path, state, found)
    return found


def _list_sources(packages: Sequence[str]) -> Iterator[str]:
    """Yield a line for each source: its name, size and time of change."""
    for package in packages:
        spec = PathFinder.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(package)
        for folder in spec.submodule_search_locations:
            yield from _list_folder(folder)


def _list_folder(folder: str) -> Iterator[str]:
    yield f"{folder}\n"
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                state = entry.stat()
                yield f"{entry.path} {state.st_size} {state.st_mtime_ns}\n"
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _list_folder(entry.path)


def _make_header(state: bytes, content: bytes) -> bytes:
    return b"%s\n%08x\n" % (state, zlib.crc32(content))


def _read(path: str, state: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    content = data[len(_make_header(state, b"")) :]
    return content if data.startswith(_make_header(state, content)) else None


def _write(path: str, state: bytes, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}"  # so that no process ever reads half of a bundle
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(_make_header(state, content) + content)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
