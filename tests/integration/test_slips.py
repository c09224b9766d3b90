"""Slips that would do something else in silence: each is an error, or does the right thing, and says so."""

from __future__ import annotations

from typing import Any

import pytest

MORE = """
limit = 3

def get_limit():
    return limit
"""


def test_attribute_of_the_client(far: Any) -> None:
    """Assigning to a client where a definition is meant changes neither, and says what to write."""
    with pytest.raises(AttributeError, match=r"^limit is among the definitions: .* assign to \.limit\.value"):
        far.limit = 5
    far.rack = "left"

    assert (far.limit.value, far.rack) == (3, "left")
    far.limit.value = 5
    assert far.get_limit() == 5
