"""Descriptions of an end, with any values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from easycluster_protocol._handshake.hello import FIELDS, Hello

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    "number": st.integers(0, 2**64 - 1),
    "bytes": st.binary(max_size=50),
}

HELLOS = st.fixed_dictionaries({}, optional={name: VALUES[form] for name, form, _ in FIELDS.values()})


def fields_of(hello: Hello) -> dict[str, Any]:
    """Every field of a packet, given or not."""
    return {name: getattr(hello, name) for name, _, _ in FIELDS.values()}
