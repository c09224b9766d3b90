r"""Makes bundles: all that is written to the stdin of the command before the protocol begins.

A bundle is two frames (see `_framing`), each compressed by zlib::

    stage \0 importer \f modules \0 word \0 word ...      sources of `_on_host`, modules, words
    marker \n entry \n config

In the importer and the modules, bytes above 127 stand for words (see `_words`). A module is
``name is_package length\n`` and its minified source in UTF-8. A package without a source is left out: the
names of the modules directly in it imply it. The first frame is made once, not for each connection.
"""

from __future__ import annotations

import os
import re
import zlib
from functools import lru_cache
from typing import Mapping, Sequence, Tuple

from easycluster_bootstrap._framing import frame
from easycluster_bootstrap._sources import collect
from easycluster_bootstrap._words import replace_words

_EMPTY_PACKAGE = (b"", True)
_REMOTE_NAME = "easycluster_bootstrap"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_MODULE = re.compile(rf"{_NAME}(\.{_NAME})*")
_ENTRY = re.compile(rf"(?P<module>{_MODULE.pattern}):{_NAME}")


def new_marker() -> bytes:
    """Return a marker that no login banner holds: 128 random bits in ASCII, different for each connection."""
    return b"easycluster-" + os.urandom(16).hex().encode("ascii")


def bundle(sources: Mapping[str, Tuple[str, bool]], entry: str, marker: bytes, config: bytes = b"") -> bytes:
    """Return the bytes to write to the stdin of `remote_command`, before any byte of the protocol.

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
    return _modules_frame(tuple(sorted(sources.items())))


def complete(prepared: bytes, entry: str, marker: bytes, config: bytes = b"") -> bytes:
    """Return a bundle of which `prepare` has made the larger part; see `bundle`."""
    if re.fullmatch(rb"[!-~]+", marker) is None:
        raise ValueError(f"the marker must be visible ASCII without blanks, not {marker!r}")
    return prepared + frame(_compress(b"\n".join((marker, entry.encode("ascii"), config))))


def pack(sources: Mapping[str, Tuple[str, bool]]) -> bytes:
    """Return modules as they travel later: minified, one after the other, compressed.

    Args:
        sources: full module name -> (source text, whether it is a package).

    Raises:
        ValueError: a source has no UTF-8; the message names the module.
        SyntaxError: this Python cannot parse a module; the error has its name and the line.
    """
    return _compress(_join(_minify_all(sources)))


@lru_cache(maxsize=4)  # a master uses one set of modules, tests a few
def _modules_frame(sources: Tuple[Tuple[str, Tuple[str, bool]], ...]) -> bytes:
    _check_names(dict(sources))
    return frame(compress_text(*replace_words(join_all(dict(sources)))))


def join_all(sources: Mapping[str, Tuple[str, bool]]) -> bytes:
    """Return the text of a bundle: the importer and the modules."""
    modules = _minify_all(sources)
    implied = {name.rpartition(".")[0] for name, module in modules.items() if module != _EMPTY_PACKAGE}
    sent = {
        name: module for name, module in modules.items() if module != _EMPTY_PACKAGE or name not in implied
    }
    return _minify_own("_on_host.importer") + b"\f" + _join(sent)


def compress_text(text: bytes, words: Sequence[bytes]) -> bytes:
    """Return a text from `replace_words`, and its words, as the first frame has them."""
    return _compress(b"\0".join((_minify_own("_on_host.stage"), text, *words)))


def _minify_all(sources: Mapping[str, Tuple[str, bool]]) -> Mapping[str, Tuple[bytes, bool]]:
    return {
        name: (_minify_source(name, source), is_package) for name, (source, is_package) in sources.items()
    }


def _join(modules: Mapping[str, Tuple[bytes, bool]]) -> bytes:
    return b"".join(
        b"%s %d %d\n%s" % (name.encode("ascii"), is_package, len(data), data)
        for name, (data, is_package) in modules.items()
    )


def _compress(data: bytes) -> bytes:
    # Memory level 6 packs our sources better than 8, the default.
    engine = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 6)
    return engine.compress(data) + engine.flush()


@lru_cache(maxsize=256)  # two sets of modules have most of them in common
def _minify_source(name: str, source: str) -> bytes:
    # A master that finds its bundles in a cache needs none of this, nor the modules that it imports.
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


def _minify_own(module: str) -> bytes:
    return _minify_source(module, collect(_REMOTE_NAME)[f"{_REMOTE_NAME}.{module}"][0])
