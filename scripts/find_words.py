"""Search for the words that make the startup bundle smallest, and write them into the bootstrap.

Run it when the sources have changed much and the room gets scarce: .venv/bin/python scripts/find_words.py
It takes about two minutes. Any table is correct, so nothing else has to follow.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from easycluster_bootstrap import _bundle, _words
from easycluster_client._ssh import shipment

CANDIDATES = 250
LONGEST = 20

TEXT = _bundle._join_all(shipment._part(at_once=True))
Result = tuple[int, list[str]]


def measure(table: Sequence[str]) -> int:
    return len(_bundle._compress_text(*_words.replace_words(TEXT, table)))


def grow(table: list[str]) -> list[str]:
    """Add the word that saves most, again and again."""
    text, words = _words.replace_words(TEXT, table)
    smallest = len(_bundle._compress_text(text, words))
    while len(words) < 128:
        code = bytes([128 + len(words)])
        size, word = min(
            (len(_bundle._compress_text(text.replace(word, code), [*words, word])), word)
            for word in find_candidates(text)
        )
        if size >= smallest:
            break
        smallest = size
        table = [*table, expand(word, words)]
        text = text.replace(word, code)
        words.append(word)
    return table


def find_candidates(text: bytes) -> list[bytes]:
    """Return the pieces of a text that stand in most of it."""
    counts = Counter(re.findall(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]+", text))
    for length in range(2, LONGEST):
        counts.update(text[start : start + length] for start in range(len(text) - length))
    gains = {word: (count - 1) * (len(word) - 1) for word, count in counts.items() if count > 2}
    usable = [word for word in gains if word.strip(b"\n") and not re.search(rb"[\f\"\\]", word)]
    return sorted(usable, key=lambda word: (gains[word], word))[-CANDIDATES:]


def expand(word: bytes, words: Sequence[bytes]) -> str:
    for index in reversed(range(len(words))):
        word = word.replace(bytes([128 + index]), words[index])
    return word.decode("ascii")


def prune(table: list[str]) -> list[str]:
    """Remove the words that save nothing by now."""
    smallest = measure(table)
    for word in reversed(table):
        fewer = [other for other in table if other != word]
        size = measure(fewer)
        if size <= smallest:
            smallest, table = size, fewer
    return table


def search() -> Result:
    best: Result = (measure(()), [])
    while True:
        table = prune(grow(best[1]))
        size = measure(table)
        print(f"{len(table)} words, {size} bytes", flush=True)
        if size >= best[0]:
            return best
        best = size, table


def write(table: Sequence[str]) -> None:
    """Replace what stands between the two marks in the module of the words."""
    lines = [""]
    for item in (f"{json.dumps(word)}," for word in table):
        if len(lines[-1]) + len(item) > 100:
            lines.append("")
        lines[-1] += f" {item}" if lines[-1] else f"    {item}"
    path = Path(_words.__file__)
    head, begin, _, end, tail = re.split(r"(# fmt: off\n|# fmt: on\n)", path.read_text("utf-8"))
    words = "\n".join(["WORDS: Tuple[str, ...] = (", *lines, ")", ""])
    path.write_text(head + begin + words + end + tail, "utf-8")


if __name__ == "__main__":
    print(f"{measure(_words.WORDS)} bytes with the present words, {measure(())} with none")
    write(search()[1])
