"""The compiled half of pickle is that of pickle itself."""

from __future__ import annotations

import pickle

from easycluster_protocol import _pickling


def test_is_what_pickle_has() -> None:
    """Classes and functions are those that scripts know."""
    assert {name: getattr(_pickling, name) for name in _pickling.__all__} == {
        name: getattr(pickle, name) for name in _pickling.__all__
    }
