from __future__ import annotations

from easycluster_bootstrap._words import WORDS, replace_words
from helpers.bundles import restore_words


def test_words_become_bytes() -> None:
    """Each word that stands in the text more than once becomes a byte, in the order of the table."""
    text, words = replace_words(b"return self or return self", ["self", "return", "or"])

    assert text == b"\x81 \x80 or \x81 \x80"
    assert words == [b"self", b"return"]
    assert restore_words(text, words) == b"return self or return self"


def test_words_of_words() -> None:
    """A word may contain earlier ones, whose bytes then stand in it."""
    text, words = replace_words(b"selfish selfish self", ["el", "self", "selfish"])

    assert text == b"\x82 \x82 \x81"
    assert words == [b"el", b"s\x80f", b"\x81ish"]
    assert restore_words(text, words) == b"selfish selfish self"


def test_a_word_that_earlier_ones_have_cut_is_left_out() -> None:
    """A word is not sent if no place is left where it could be replaced."""
    assert replace_words(b"abc abc", ["ab", "bc"]) == (b"\x80c \x80c", [b"ab"])


def test_other_letters() -> None:
    """A text that is not ASCII has bytes above 127 of its own, so it stays as it is."""
    text = "self 'ä' self".encode()

    assert replace_words(text, ["self"]) == (text, [])


def test_the_table() -> None:
    """There are at most as many words as bytes above 127, all of them different, without the bytes that separate parts."""
    assert len(WORDS) <= 128
    assert len(set(WORDS)) == len(WORDS)
    assert all(len(word) > 1 and word.isascii() and not set(word) & set("\0\f") for word in WORDS)
