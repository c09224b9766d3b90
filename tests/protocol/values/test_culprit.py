"""Which argument of a call could not be rebuilt."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from easycluster_protocol._values import culprit
from easycluster_protocol._values.culprit import name_culprit


class Fine:
    """Can be rebuilt."""


class Bad:
    """Cannot be rebuilt, which shows only when that is tried."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An instance of a class that cannot be found when its pickle is looked at."""
    module: Any = ModuleType("gone_away")
    exec("class Gone: pass", vars(module))
    monkeypatch.setitem(sys.modules, "gone_away", module)
    return module.Gone()


def named(values: Any, protocol: int = 5) -> str:
    """The culprit among the values of a call."""
    body = pickle.dumps(values, protocol)
    sys.modules.pop("gone_away", None)
    return name_culprit(body)


PROTOCOLS = [4, 5]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("before", range(6))
def test_the_only_one(protocol: int, before: int) -> None:
    """Where one argument alone calls anything when it is rebuilt, it is that one."""
    plain = ("text", {"a": [1, (2.5, {3})]}, b"b" * 3000, None, ["same"] * 3000)[:before]

    assert named(("f", (*plain, [{"deep": (Bad(),)}], "more"), {}), protocol) == f"argument {before + 1} of f"
    assert named((3, "method", (*plain, Bad()), {"k": 1}), protocol) == f"argument {before + 1} of method"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_keywords(protocol: int) -> None:
    """Arguments by keyword have names, however many there are."""
    assert named(("f", (1, 2), {"a": 1, "bad": Bad(), "c": 3}), protocol) == "argument 'bad' of f"
    assert named(("f", (), {"bad": Bad()}), protocol) == "argument 'bad' of f"
    many = {f"k{number}": number for number in range(2500)}
    assert named(("f", (), {**many, "bad": Bad(), "z": 1}), protocol) == "argument 'bad' of f"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_one_that_needs_a_name(gone: Any, protocol: int) -> None:
    """Among several, it is the first that needs a name which is not here."""
    values = ("f", (Fine(), [np.arange(3), Fine()], {"x": gone}, Bad()), {"k": gone})

    assert named(values, protocol) == "argument 3 of f"


def test_several() -> None:
    """Where nothing tells them apart, all are named that it can be."""
    assert named(("f", (Bad(), 1, Fine()), {"k": Bad()})) == "argument 1 or 3 or 'k' of f"


def test_the_function() -> None:
    """A function that was sent may be the culprit, too."""
    assert named((Bad(), (1,), {})) == "the function of the call"
    assert named((len, (Fine(),), {})) == "the function of the call, or an argument,"


def test_nothing_is_run() -> None:
    """Nothing that the pickle calls is called."""
    calls: list[int] = []
    Noting.calls = calls
    assert named(("f", (Noting(),), {})) == "argument 1 of f"
    assert calls == []


class Noting:
    """Notes when it is rebuilt."""

    calls: list[int]

    def __reduce__(self) -> Any:
        return note, ()


def note() -> None:
    """Note a call."""
    Noting.calls.append(1)


def test_objects_that_hold_themselves() -> None:
    """Values with circles are no obstacle."""
    circle: list[Any] = [Fine()]
    circle.append((circle,))
    pair: Any = ([],)
    pair[0].append(pair)

    assert named(("f", (1, circle), {"k": 1})) == "argument 2 of f"
    assert named(("f", (1, pair, Bad()), {})) == "argument 3 of f"


@pytest.mark.parametrize(
    "body", [b"", b"junk", pickle.dumps(5), pickle.dumps((1, 2)), pickle.dumps(("f", 1, 2))]
)
def test_other_bodies(body: bytes) -> None:
    """A body that is no call says nothing."""
    assert name_culprit(body) in {"an argument of the call", "an argument of f"}


def test_large_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pickles are not searched."""
    monkeypatch.setattr(culprit, "_MAX_BYTES", 10)

    assert named(("f", (Bad(),), {})) == "an argument of the call"
