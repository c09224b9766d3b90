"""Tests for easycluster_client._trust.numpy_names."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from easycluster_client._trust import names
from easycluster_client._trust.numpy_names import normalize
from easycluster_client._trust.policy import Policy

TYPES = [
    "f8", ">i4", "?", "u2", ">u8", "O", "S5", ">U7", "V9", "M8[25s]", "<m8", "M8[ns]", "c16", "e", "g",
    [("a", "f8"), ("b", "O")],
    [(("title", "a"), "f8"), ("b", "i4", (2, 3))],
    {"names": ["a", "b"], "formats": ["u1", "u2"], "offsets": [5, 1], "itemsize": 20},
    [("a", [("b", ">f4"), ("c", "S2")])],
]  # fmt: skip


def load(value: Any, protocol: int) -> Any:
    """Pickle a value and load it for a host that is not trusted."""
    return names.load(Policy(), pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_types(dtype: Any, protocol: int) -> None:
    """Types of arrays, arrays of them, and their scalars are as before."""
    expected = np.dtype(dtype)
    array = np.zeros((2, 3), expected)

    loaded = load(expected, protocol)
    assert loaded == expected
    assert repr(loaded) == repr(expected)
    assert loaded.flags == expected.flags
    assert load(array, protocol).dtype == pickle.loads(pickle.dumps(array, protocol)).dtype
    assert repr(load(array, protocol).tolist()) == repr(array.tolist())
    assert repr(load(array[:, ::2], protocol).tolist()) == repr(array[:, ::2].tolist())
    if not expected.hasobject:
        assert repr(load(array[0, 0], protocol)) == repr(array[0, 0])


def test_arrays_of_objects() -> None:
    """Arrays of objects hold what the others hold, also arrays."""
    inner = np.arange(3)
    array = np.array([1, "text", None, [2.5], inner], object)

    loaded = load(array, 5)

    assert loaded[:4].tolist() == array[:4].tolist()
    assert loaded[4].tolist() == [0, 1, 2]


def test_names() -> None:
    """Both names of NumPy's inner modules mean the same."""
    assert normalize("numpy.core.numeric") == normalize("numpy._core.numeric") == "numpy._core.numeric"
    assert normalize("numpy.corex") == "numpy.corex"
    assert normalize("os") == "os"
