"""Reads bundles of the bootstrap, as a host does."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT


def read_bundle(bundle: bytes) -> tuple[dict[str, bytes], bytes]:
    """Returns module -> source, the packages without a source included, and the last frame."""
    modules, session = map(zlib.decompress, _frames(bundle))
    _, text, *words = modules.split(b"\0")
    while words:
        text = text.replace(bytes([127 + len(words)]), words.pop())
    _, _, records = text.partition(b"\f")
    sources: dict[str, bytes] = {}
    while records:
        head, _, rest = records.partition(b"\n")
        name, _, length = head.decode().split()
        sources[name], records = rest[: int(length)], rest[int(length) :]
        sources.setdefault(name.rpartition(".")[0] or name, b"")
    return sources, session


def _frames(bundle: bytes) -> Iterator[bytes]:
    while bundle:
        end = HEADER_LENGTH + int(bundle[LENGTH_AT:HEADER_LENGTH])
        yield bundle[HEADER_LENGTH:end]
        bundle = bundle[end:]
