"""Tests for easycluster_client._trust.untrusted."""

from __future__ import annotations

import pytest

from easycluster_client._trust.untrusted import UntrustedName, make_visible


def test_names() -> None:
    """The error shows a name, harmless on a terminal and not endless."""
    assert UntrustedName("os", "system").name == "os.system"
    assert UntrustedName("os", "a\x1b").name == "os.a\\x1b"
    assert len(UntrustedName("os", "a" * 9999).name) < 300


@pytest.mark.parametrize("text", ["plain", "two\nlines\t", "é漢😀", "C:\\x1b"])
def test_other_text(text: str) -> None:
    """What a terminal shows stays as it is."""
    assert make_visible(text) == text


@pytest.mark.parametrize(
    "text", ["\x1b", "\r", "\x07", "\x9b", "\x7f", "\0", "\u202e", "\u2066", "\ud800", "\ufeff"]
)
def test_what_a_terminal_obeys(text: str) -> None:
    """What a terminal obeys becomes visible."""
    assert make_visible(f"a{text}b").isprintable()
