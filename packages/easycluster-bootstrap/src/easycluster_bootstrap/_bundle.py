r"""What is written to the command's stdin before anything else.

A bundle is three frames (see `_framing`)::

    the source of _stage                            read by the short line
    zlib: the source of _finder \0 the modules      read by the stage
    zlib: marker \n entry \n config                 read by the stage

where each module is ``name is_package length\n`` and its minified source in UTF-8. The modules have a frame
to themselves so that they are compressed once, not for each connection.
"""

from __future__ import annotations

import os
import re
import zlib
from functools import lru_cache
from typing import Mapping, Tuple

from easycluster_bootstrap._collect import collect
from easycluster_bootstrap._framing import frame

_REMOTE_NAME = "easycluster_bootstrap"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_MODULE = re.compile(rf"{_NAME}(\.{_NAME})*")
_ENTRY = re.compile(rf"(?P<module>{_MODULE.pattern}):{_NAME}")


def new_marker() -> bytes:
    """Return a marker that no login banner holds: 128 random bits in ASCII, made anew for each connection."""
    return b"easycluster-" + os.urandom(16).hex().encode("ascii")


def bundle(sources: Mapping[str, Tuple[str, bool]], entry: str, marker: bytes, config: bytes = b"") -> bytes:
    """Return what to write to the stdin of `remote_command`, before any byte of the protocol.

    Args:
        sources: full module name -> (source text, whether it is a package), as `collect` gives. Each needs
            the packages above it. They are minified (see `_minify`); the host compiles a module when it is
            first imported.
        entry: ``module:function``; called on the host with one argument, `config`. When it returns, the
            process ends with exit status 0.
        marker: from `new_marker`; the host writes it and a line feed to stdout immediately before the entry
            is called. Throw away everything up to there.
        config: handed to the entry.

    Raises:
        ValueError: a name, the entry or the marker cannot be used, or a source has no UTF-8; the message
            quotes it.
        SyntaxError: this Python cannot parse a module; the error has its name and the line.
    """
    match = _ENTRY.fullmatch(entry)
    if match is None or match["module"] not in sources:
        raise ValueError(f"the entry must be 'module:function' with a module of the bundle, not {entry!r}")
    return complete(prepare(sources), entry, marker, config)


def prepare(sources: Mapping[str, Tuple[str, bool]]) -> bytes:
    """Return the part of a bundle that is the same for every connection; see `bundle`."""
    return _stage_frame() + _modules_frame(tuple(sorted(sources.items())))


def complete(prepared: bytes, entry: str, marker: bytes, config: bytes = b"") -> bytes:
    """Return a bundle of which `prepare` has made the larger part; see `bundle`."""
    if re.fullmatch(rb"[!-~]+", marker) is None:
        raise ValueError(f"the marker must be visible ASCII without blanks, not {marker!r}")
    return prepared + frame(zlib.compress(b"\n".join((marker, entry.encode("ascii"), config))))


def pack(sources: Mapping[str, Tuple[str, bool]]) -> bytes:
    """Return modules as they travel: minified, one after the other, compressed.

    Args:
        sources: full module name -> (source text, whether it is a package).

    Raises:
        ValueError: a source has no UTF-8; the message names the module.
        SyntaxError: this Python cannot parse a module; the error has its name and the line.
    """
    return zlib.compress(_joined(sources), 9)


def _joined(sources: Mapping[str, Tuple[str, bool]]) -> bytes:
    joined = bytearray()
    for name, (source, is_package) in sources.items():
        data = _minified(name, source)
        joined += b"%s %d %d\n%s" % (name.encode("ascii"), is_package, len(data), data)
    return bytes(joined)


@lru_cache(maxsize=1)
def _stage_frame() -> bytes:
    return frame(_minified("_stage", _own_source("_stage")))


@lru_cache(maxsize=4)  # a master uses one set of modules, tests a few
def _modules_frame(sources: Tuple[Tuple[str, Tuple[str, bool]], ...]) -> bytes:
    _check_names(dict(sources))
    finder = _minified("_finder", _own_source("_finder"))
    return frame(zlib.compress(finder + b"\0" + _joined(dict(sources)), 9))


@lru_cache(maxsize=256)  # two sets of modules have most of them in common
def _minified(name: str, source: str) -> bytes:
    # Who has kept what was made before does without it, and without the modules that it needs.
    from easycluster_bootstrap._minify import minify

    try:
        return minify(source).encode("utf-8")
    except SyntaxError as error:
        error.filename = name
        raise
    except ValueError as error:
        raise ValueError(f"the source of {name!r} cannot be sent: {error}") from error


def _check_names(sources: Mapping[str, Tuple[str, bool]]) -> None:
    for name in sources:
        if _MODULE.fullmatch(name) is None:
            raise ValueError(f"{name!r} cannot be the name of a module")
        if name.partition(".")[0] == _REMOTE_NAME:
            raise ValueError(f"{name!r} cannot be in a bundle: {_REMOTE_NAME!r} is the importer itself there")
        parent = name.rpartition(".")[0]
        if parent and not sources.get(parent, ("", False))[1]:
            raise ValueError(f"{name!r} is in the bundle but its package {parent!r} is not")


def _own_source(module: str) -> str:
    return collect("easycluster_bootstrap")[f"easycluster_bootstrap.{module}"][0]
