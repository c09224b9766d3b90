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
    "self.", "\n\n def ", "\n  ", "return", "\n\n\ndef ", "message", "if ", "in", " import ",
    "Error", "er", "easycluster_", "self", "re", "None", "\n\n\nclass ", "not ", "en", "rotocol",
    "frame", "from", "authenticator", "thread", "se", "or", "name", ":\n   ", "state", "False",
    "stream", "transport", "request", "write", "buffers", "signal", "except ", "end", "ck",
    "\n\n @property\n def ", "\nimport ", " and ", "executor", "references", "co", "error",
    "easycluster_server._", "MAX_TABLE_ENTRIES", "except BaseException as ", " is not None",
    "while ", " is None", "el", "truct", "raise RemoteProtocolError(", "sequence", "receiv",
    "release", "__", "for ", "this_process", "sys.", "module", "os.", "call", "load", "len(",
    "config", "control", "read", "True", "(self):\n  ", "answer", "\n return ", "HEADER_SIZE",
    "(EasyClusterError", "head", "time.monotonic()", "\n try:\n  ", "ake", "BYTE", "getattr(",
    "Message", "data", "ion", "(self):\n", "pack", "\n ", "\n  return ", "ed", "ll", "ect", "number",
    "length", "import", "pickle_protocol", " easycluster_protocol.", ".append(", "\n  e=", "ing",
    "traceback", "\n  try:\n   ", "code", ".extend(map(", "prefix", "get", "MESSAGE", "_fork",
    "descriptor", "_wait_until(lambda", "pid", "pa", "HEAD_SIZE", "session", "send", "else", "ock",
    "flush", "table", "the ", "compress", ":\n\n\n\n\n\n\n\n\n\n", ".acquire", "ER",
    "self._prefix_size", "self._executor", "channel", "easycluster_server._system", "compressed",
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
