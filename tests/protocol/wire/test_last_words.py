"""What can be said after the last frame of a connection, and what cannot be taken for it."""

from __future__ import annotations

import signal

import pytest

from easycluster_protocol._wire.frames import HEADER_SIZE, TAG_SIZE
from easycluster_protocol._wire.last_words import MAX_BYTES, explain_last_words, pack_last_words


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("signal 9 (SIGKILL)", "the process there was ended by signal 9 (SIGKILL)"),
        ("signal 40", "the process there was ended by signal 40"),
        ("status 3", "the process there has ended itself with status 3"),
        ("status 3221225477", "the process there has ended itself with status 0xc0000005"),
        (
            "status 0",
            "the process there has ended itself with status 0, or remote code has closed its descriptors",
        ),
        (
            "replaced",
            "remote code has closed the descriptors of the process there, or replaced it (os.exec*)",
        ),
    ],
)
def test_words(end: str, text: str) -> None:
    """They are found at the end of what has come, and explained."""
    assert explain_last_words(pack_last_words(end)) == text
    assert explain_last_words(b"half a frame" + pack_last_words(end)) == text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"signal 9\n",
        b"\nENDED: signal 9",
        b"\nENDED: signal 9\nx",
        b"\nENDED: signal \x1b[2J\n",
        b"\nENDED: status x\n",
        pack_last_words("give me your password"),
    ],
)
def test_other_bytes(data: bytes) -> None:
    """Anything else is no last words, so nobody on the way can put a text of his own into an error."""
    assert explain_last_words(data) == ""


def test_size() -> None:
    """They are shorter than header and tag of a frame, with each signal that there is."""
    assert MAX_BYTES < HEADER_SIZE + TAG_SIZE
    names = {each.value: each.name for each in signal.Signals}
    for number in range(1, signal.NSIG):
        end = f"signal {number}" + (f" ({names[number]})" if number in names else "")
        assert end in explain_last_words(pack_last_words(end))
