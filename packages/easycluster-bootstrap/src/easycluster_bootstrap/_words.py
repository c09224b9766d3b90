"""Replaces frequent words of our sources by one byte each, after which zlib compresses them better.

The bytes are those above 127, which ASCII text does not have. The words in use are sent with the text, so
any table is correct. ``scripts/find_words`` searches for the one that makes the bundle smallest, and writes
it here.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

# Replaced in this order; a word may contain earlier ones. Most of them are no whole words.
# fmt: off
WORDS: Tuple[str, ...] = (
    "self", "\n\n def ", "\n  ", "return", "message", "if ", "import ", "\n\n\ndef ", "self.", "ro",
    "in", "\n\n\nclass ", "None", "Error", "er", "re", "co", "easycluster_", "transport", "request",
    "from", ":\n   ", "rotocol", "False", "read", " is not None", "name", "uthenticator", "session",
    "signal", "error", " else", "xcept", "config", "\n\n @property\n def ", "executor", "thread",
    "references", "buffers", "compress", "sequence", "send", "not ", "self._", "or ", "lock", "pack",
    "write", "os.", "call", "load", " is None", "raise ", ":\n\n\n\n\n\n", ".append(",
    "time.monotonic()", "pickle_protocol", "release", "(self):\n  ", "getattr(", "len(", "data",
    "sys.", "number", "__", "(EasyClusterError", "an", "add_modules", "while ", "=struct.Struct(",
    "frame", "traceback", "it", " import ", "path", "\neasycluster_server._",
    "\n\n def __init__(self,", "stat", "end", "HEADER_SIZE", "ing", "HEAD_SIZE", "stream", "ceiv",
    "BaseException as ", "length", "modul", "payload", "_head", "select", "control", "al", "de",
    "MAX_TABLE", "MAX_FRAME", "Message", "fork", "worker", "_this_process", "connection",
    "make_caller", "Tru", "struct", "\n return ", "flush", "try:\n   ", "(self):\n\n  ",
    "easycluster_protocol", "self._wait_until(lambda:", "fileno", "timeout",
)
# fmt: on

_FIRST_CODE = 128


def replace_words(text: bytes, table: Sequence[str] = WORDS) -> Tuple[bytes, List[bytes]]:
    """Return a text with bytes in place of words, and these words.

    The first word is replaced by byte 128, the second by 129, and so on. To get the text back, replace the
    bytes by their words, the last one first, because a word may itself contain the bytes of earlier words.
    A text that is not ASCII is returned as it is.
    """
    words: List[bytes] = []
    for word in table if text.isascii() else ():
        code = bytes([_FIRST_CODE + len(words)])
        replaced = word.encode("ascii")
        for index, earlier in enumerate(words):
            replaced = replaced.replace(earlier, bytes([_FIRST_CODE + index]))
        if text.count(replaced) > 1:
            text = text.replace(replaced, code)
            words.append(replaced)
    return text, words
