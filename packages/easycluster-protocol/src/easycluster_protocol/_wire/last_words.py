"""The last words of a server whose worker could not speak any more: how that process ended.

Another process of the host says them, which has no key, so they are not authenticated: they are good for the
text of an error and nothing else. They stand after the last frame of a keyed connection, or beside a local
one. They are shorter than header and tag of a frame together, so a receiver never takes them for one; where
the worker died in the middle of a frame, they become a part of that, whose tag is wrong then.
"""

from __future__ import annotations

import re

_FORM = b"\nENDED: %s\n"

#: A status, or a signal with its name, which differs between systems.
_WORDS = re.compile(rb"\nENDED: (?:signal (\d+(?: \([A-Z0-9]{1,12}\))?)|status (\d+)|replaced)\n\Z")

#: One less than header and tag of a frame.
MAX_BYTES = 31


def pack_last_words(end: str) -> bytes:
    """Return the bytes of the last words.

    Args:
        end: how the worker ended: ``signal 9 (SIGKILL)``, ``status 3``, or ``replaced``: it lives, but as
            another program, or without its descriptors.
    """
    return (_FORM % end.encode())[:MAX_BYTES]


def explain_last_words(data: bytes) -> str:
    """Return the meaning of last words at the end of ``data``, for people; an empty text: there are none."""
    found = _WORDS.search(data[-MAX_BYTES:])
    if found is None:
        return ""
    signal, status = (each and each.decode() for each in found.groups())
    if signal:
        return f"the process there was ended by signal {signal}"
    if status:
        number = int(status)
        return (
            # Large ones are Windows' own, and are known by these digits: 0xc0000005 is an access violation.
            f"the process there has ended itself with status {hex(number) if number >> 16 else number}"
            f"{'' if number else ', or remote code has closed its descriptors'}"
        )
    return "remote code has closed the descriptors of the process there, or replaced it (os.exec*)"
