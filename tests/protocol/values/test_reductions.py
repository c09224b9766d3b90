"""The dispatch table of picklers: asked once for each class, and otherwise as Python's own."""

from __future__ import annotations

import copyreg
import os
import pickle
import re
from typing import Any

import pytest

from easycluster_protocol._values.reductions import Reductions, dumps_value


class Meta(type):
    """A class of classes."""


class Class(metaclass=Meta):
    """Pickled by its name."""


class Registered(tuple):  # type: ignore[type-arg]  # noqa: SLOT001
    """Has a reduction in the table that all picklers share."""


def test_the_classes_of_a_value() -> None:
    """Each class is asked for once, classes stay names, and registered reductions hold."""
    table = Reductions(4)

    assert table[re.Pattern] is copyreg.dispatch_table[re.Pattern]
    assert table[Class](Class()) == Class().__reduce_ex__(4)
    assert table[Class] is table[Class]
    assert table.get(Class) is table[Class]
    assert table.get(Meta, "default") == "default"
    with pytest.raises(KeyError):
        table[Meta]
    assert Meta not in table


def test_registered_reductions_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reduction that a library has registered with `copyreg` comes before ours."""
    monkeypatch.setitem(copyreg.dispatch_table, Registered, lambda value: (list, (list(value),)))

    assert pickle.loads(dumps_value(Registered([1]), 4)) == [1]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_rest_is_as_always(protocol: int) -> None:
    """Values of other kinds have the same pickles as ever."""
    values: list[Any] = [
        Class,
        Class.mro,
        len,
        Meta,
        re.compile("a"),
        3 + 4j,
        {1: {2}},
        ValueError("x"),
        bytearray(3),
    ]
    value = [*values, values]

    assert dumps_value(value, protocol) == pickle.dumps(value, protocol)


def test_environment() -> None:
    """The environment goes as a dict: a copy of its class would set the variables of the other process."""
    copy = pickle.loads(dumps_value([os.environ], 4))

    assert copy == [dict(os.environ)]
    assert type(copy[0]) is dict
