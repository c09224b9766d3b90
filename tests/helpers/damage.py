"""Damage that a network can do to a stream of bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

#: Damages bytes, as a source of random numbers decides.
Damage = Callable[[bytes, random.Random], bytes]


def truncate(data: bytes, chance: random.Random) -> bytes:
    """Lose the end."""
    return data[: chance.randrange(len(data))]


def leave_out(data: bytes, chance: random.Random) -> bytes:
    """Lose a piece in the middle."""
    begin, end = _choose_piece(data, chance)
    return data[:begin] + data[end:]


def flip(data: bytes, chance: random.Random) -> bytes:
    """Change one bit."""
    damaged = bytearray(data)
    damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def overwrite(data: bytes, chance: random.Random) -> bytes:
    """Replace a piece by other bytes."""
    begin, end = _choose_piece(data, chance)
    return data[:begin] + chance.randbytes(end - begin) + data[end:]


def duplicate(data: bytes, chance: random.Random) -> bytes:
    """Say a piece twice."""
    begin, end = _choose_piece(data, chance)
    return data[:end] + data[begin:]


def reorder(data: bytes, chance: random.Random) -> bytes:
    """Exchange two neighbouring pieces."""
    begin, end = _choose_piece(data, chance)
    middle = chance.randint(begin, end)
    return data[:begin] + data[middle:end] + data[begin:middle] + data[end:]


DAMAGES: tuple[Damage, ...] = (truncate, leave_out, flip, overwrite, duplicate, reorder)


def _choose_piece(data: bytes, chance: random.Random) -> tuple[int, int]:
    begin = chance.randrange(len(data))
    return begin, min(len(data), begin + chance.randint(1, 64))
