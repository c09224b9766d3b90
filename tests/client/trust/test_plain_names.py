"""Tests for easycluster_client._trust.plain_names."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import fractions
import pickle
import zoneinfo
from typing import Any

import pytest

from easycluster_client._trust import plain_names
from easycluster_client._trust.names import load
from easycluster_client._trust.policy import Policy

ZONE = dt.timezone(dt.timedelta(hours=-3), "name")


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize(
    "value",
    [
        dt.date.min,
        dt.date.max,
        dt.datetime.max.replace(tzinfo=ZONE),
        dt.datetime(2026, 1, 2, 3, 4, 5, 678901, ZONE, fold=1),
        dt.time(23, 59, 58, 999999, fold=1),
        dt.time(1, tzinfo=ZONE),
        dt.timedelta(-1, 5, 7),
        decimal.Decimal("-1.50E+20"),
        decimal.Decimal("sNaN"),
        fractions.Fraction(-1, 3),
        array.array("q", [1, -2]),
        iter([1, 2, 3]),
        reversed([1, 2]),
        bytearray(b"x" * 100),
        1j,
        range(1, 10, 2),
        slice(None, 5),
        NotImplemented,
        type(None),
        dict,
    ],
)
def test_values(value: Any, protocol: int) -> None:
    """Values of Python's own library are loaded as Python does."""
    loaded = load(Policy(), pickle.dumps(value, protocol))

    assert type(loaded) is type(value)
    assert pickle.dumps(loaded, protocol) == pickle.dumps(value, protocol)


def test_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time zone is found by its name, and is the same each time; UTC is Python's own."""
    assert load(Policy(), pickle.dumps([dt.timezone.utc])) == [dt.timezone.utc]
    assert load(Policy(), pickle.dumps([dt.timezone.utc]))[0] is dt.timezone.utc
    asked: list[str] = []
    monkeypatch.setattr(zoneinfo, "ZoneInfo", asked.append)
    plain_names.make_zone("Europe/Berlin")
    assert asked == ["Europe/Berlin"]
    for key in ("../x", "/etc/passwd", "a//b", "", "a\0", 5, "a" * 300):
        with pytest.raises(ValueError, match="no ZoneInfo is made in this way"):
            plain_names.make_zone(key)


def test_exceptions() -> None:
    """Exceptions that end a program are not among those that may come."""
    assert {"ValueError", "OSError", "StopIteration"} <= plain_names.EXCEPTIONS
    assert plain_names.EXCEPTIONS.isdisjoint({"SystemExit", "KeyboardInterrupt", "GeneratorExit"})
