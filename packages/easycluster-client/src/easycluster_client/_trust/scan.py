"""Tells pickles that Python's own unpickler may load from those that need the `machine`.

Python's unpickler is fast and believes everything. What it may get from a host that is not trusted has been
read before, opcode by opcode, by one regular expression: such a pickle names no function and no class, so
nothing of the host's is called. Two further opcodes are left to the machine, because a few bytes of them
cost much: those that say where in its memo the unpickler is to put a value (5 bytes, 64 GiB), and tuples of
tuples, whose hash Python computes by a recursion that nothing limits.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

#: The most tuples that are not seen to be flat. Their hash takes at most 2 to the power of this steps.
_MOST_DEEP_TUPLES = 20

#: Texts and bytes that are longer are read by `_step`, not by the expression.
_MOST_IN_EXPRESSION = 64

#: The greatest length of one match: each takes memory for its repetitions.
_MOST_REPETITIONS = 400

#: Opcodes without an argument that neither make a tuple nor call anything: memo, containers, buffers.
_ONE_BYTE = rb"[\]}\)\x8faeus\x94\x90\x91\x97\x98]"

#: An opcode with so many bytes of argument.
_FIXED = b"%b[\0-\xff]{%d}"

_PROTO, _STOP, _TUPLES = 0x80, 0x2E, frozenset(b"t\x85\x86\x87")

#: Opcodes whose argument has its length ahead, in so many bytes; integers are no values that others share.
_COUNTED = {0x58: 4, 0x42: 4, 0x8C: 1, 0x43: 1, 0x8A: 1, 0x8B: 4, 0x8D: 8, 0x8E: 8, 0x96: 8}
_LONG_INTEGER, _MEMOIZE = 0x8B, b"\x94"


@functools.lru_cache(maxsize=1)
def _compile() -> re.Pattern[bytes]:
    """Return the expression that reads on up to something that `_step` has to look at."""
    counted = b"|".join(re.escape(bytes([n])) + b"[\0-\xff]{%d}" % n for n in range(_MOST_IN_EXPRESSION))
    scalars = [_FIXED % item for item in ((b"K", 1), (b"G", 8), (b"J", 4), (b"M", 2))]
    scalars += [rb"[N\x88\x89]", b"[\x8cC](?:%b)\x94?" % counted, b"\x8a(?:%b)" % counted]
    scalar = b"(?:%b)" % b"|".join(scalars)
    # As many as there are in a row, and a tuple of them.
    row = b"%b(?:%b(?:%b{1,200}[\x85-\x87]?|[\x85\x86])?|\x85)?" % (scalar, scalar, scalar)
    others = [_ONE_BYTE, _FIXED % (b"h", 1), _FIXED % (b"j", 4), _FIXED % (b"\x95", 8)]
    marked = rb"\((?:%b{0,64}t)?" % scalar
    step = b"|".join([*others, row, marked])
    return re.compile(b"(?:%b){1,%d}" % (step, _MOST_REPETITIONS))


def is_plain(body: Buffer) -> bool:
    """Return whether Python's own unpickler may load a pickle: it can call nothing, and needs no more memory
    than its own size explains.

    Args:
        body: the pickle. One that is malformed may count as plain: unpickling it is an error.
    """
    size = len(body)
    if size < 3 or body[0] != _PROTO or body[size - 1] != _STOP:
        return False
    read, at, tuples = _compile().match, 2, 0
    while at < size:
        found = read(body, at)
        at = at if found is None else found.end()
        code = body[at] if at < size else 0
        if code == _STOP:
            return at == size - 1
        if code in _TUPLES and tuples < _MOST_DEEP_TUPLES:
            at, tuples = at + 1, tuples + 1
        elif code in _COUNTED:
            at = _step(body, at, code)
        elif found is None:
            return False
    return False


def _step(body: Buffer, at: int, code: int) -> int:
    """Return where the next opcode is, after one whose argument has its length ahead; the end, if the value
    could be in the pickle twice although each look at it takes time."""
    start = at + 1 + _COUNTED[code]
    end = start + int.from_bytes(body[at + 1 : start], "little")
    return len(body) if code == _LONG_INTEGER and body[end : end + 1] == _MEMOIZE else end
