"""Reads bundles of the bootstrap, as a host does."""

from __future__ import annotations

import zlib

from easycluster_bootstrap._framing import HEADER_LENGTH, LENGTH_AT


def read_bundle(bundle: bytes) -> tuple[set[str], bytes]:
    """Returns the modules of a bundle, with the packages that are only implied, and the last frame."""
    names = read_records(bundle)
    implied = {name.rpartition(".")[0] for name in names} - {""}
    return {*names, *implied}, _read_frames(bundle)[1]


def read_records(bundle: bytes) -> dict[str, bytes]:
    """Returns module -> source, as a bundle has them."""
    _, text, *words = _read_frames(bundle)[0].split(b"\0")
    _, _, records = restore_words(text, words).partition(b"\f")
    sources: dict[str, bytes] = {}
    while records:
        head, _, rest = records.partition(b"\n")
        name, _, length = head.decode().split()
        sources[name], records = rest[: int(length)], rest[int(length) :]
    return sources


def restore_words(text: bytes, words: list[bytes]) -> bytes:
    """Returns a text with its words in place of their bytes."""
    for index in reversed(range(len(words))):
        text = text.replace(bytes([128 + index]), words[index])
    return text


def _read_frames(bundle: bytes) -> list[bytes]:
    frames: list[bytes] = []
    while bundle:
        end = HEADER_LENGTH + int(bundle[LENGTH_AT:HEADER_LENGTH])
        frames.append(zlib.decompress(bundle[HEADER_LENGTH:end]))
        bundle = bundle[end:]
    return frames
