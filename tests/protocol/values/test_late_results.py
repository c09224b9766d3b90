"""What stands for a result that the server keeps."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from easycluster_protocol._values.late_results import KeptResult, LateResult, find_late_result


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_journey(protocol: int) -> None:
    """The client learns the number of the result, and nothing else."""
    late = pickle.loads(pickle.dumps(LateResult(5), protocol))

    assert type(late) is LateResult
    assert vars(late) == {"oid": 5}


def test_kept() -> None:
    """The server keeps the result, and the name of the function for messages."""
    kept = KeptResult("f", [1])

    assert (kept.name, kept.value, kept.is_raised) == ("f", [1], False)


@pytest.mark.parametrize("protocol", [4, 5])
def test_found(protocol: int) -> None:
    """It is found in an answer, whatever kind of bytes that holds."""
    body = pickle.dumps(LateResult(5), protocol)

    for kind in (bytes, bytearray, memoryview):
        late = find_late_result(kind(body))
        assert late is not None
        assert late.oid == 5


def test_not_found() -> None:
    """Other answers are not unpickled."""
    named = ["easycluster_protocol._values.late_results", LateResult(5), Hostile()]

    assert find_late_result(pickle.dumps(named)) is None
    assert find_late_result(pickle.dumps(LateResult)) is None
    assert find_late_result(b"") is None


class Hostile:
    """Cannot be rebuilt."""

    def __reduce__(self) -> Any:
        return int, ("no number",)
