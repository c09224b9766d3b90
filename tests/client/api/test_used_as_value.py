"""Names on a server where values are meant."""

from __future__ import annotations

import collections.abc
import decimal
import math
import multiprocessing.pool
import numbers
import operator
import os
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import easycluster
from easycluster_client._api.remote_names import RemoteName
from helpers.noted_client import NotedClient, noted

NAME = RemoteName(NotedClient(), "a.b")

#: Uses of a name as if it were its value.
USES: dict[str, Callable[[Any], Any]] = {
    "if": bool,
    "not": operator.not_,
    "and": lambda name: name and 1,
    "filter": lambda name: list(filter(None, [name])),
    "in": lambda name: 1 in name,
    "for": lambda name: [each for each in name],  # noqa: C416 -- the loop is tested
    "list": list,
    "unpacking": lambda name: [*name],
    "arguments": lambda name: max(*name),
    "item": lambda name: name["key"],
    "slice": lambda name: name[1:],
    "setting an item": lambda name: operator.setitem(name, 1, 2),
    "deleting an item": lambda name: operator.delitem(name, 1),
    "len": len,
    "reversed": reversed,
    "next": next,
    "with": lambda name: name.__enter__(),
    "float": float,
    "int": int,
    "complex": complex,
    "index": operator.index,
    "index of a list": lambda name: [1, 2][name],
    "range": range,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "square root": math.sqrt,
    "path": os.fspath,
    "bytes": bytes,
    "format": lambda name: f"{name:.2f}",
    "-": operator.neg,
    "~": operator.invert,
    "abs": abs,
    "+": lambda name: name + 1,
    "right +": lambda name: 1 + name,
    "+ of texts": lambda name: "text" + name,
    "+ of lists": lambda name: [1] + name,  # noqa: RUF005 -- the operator is tested
    "+=": lambda name: operator.iadd(name, 1),  # type: ignore[no-untyped-call]
    "*": lambda name: name * 2,
    "right *": lambda name: 2 * name,
    "**": lambda name: pow(name, 2, 5),
    "right **": lambda name: 2**name,
    "divmod": lambda name: divmod(7, name),
    "|": lambda name: {1} | name,
    "<": lambda name: name < 1,
    "right <": lambda name: 1 < name,  # noqa: SIM300 -- the operator is tested
    "sorted": lambda name: sorted([name, 1]),
    "numpy.asarray": np.asarray,
    "+ of arrays": lambda name: np.ones(2) + name,
}

#: A name, and a view of it.
BOTH = pytest.mark.parametrize("name", [NAME, easycluster.options(NAME, timeout=5)], ids=["name", "view"])


@BOTH
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_used_as_a_value(name: Any, use: Callable[[Any], Any]) -> None:
    """Using a name as if it were its value is an error that says what to write instead."""
    with pytest.raises(TypeError) as raised:
        use(name)

    assert str(raised.value) == (
        f"{name!r} is a name on a server, not a value: write host.a.b.value to read it,"
        " or host.a.b(...) to call it"
    )


def test_nothing_is_sent() -> None:
    """Using a name by mistake makes no call."""
    client = NotedClient()
    for use in USES.values():
        with pytest.raises(TypeError):
            use(client.flag)

    assert noted(client).made == []


@BOTH
@pytest.mark.parametrize(
    "value",
    [1, np.int64(1), np.float32(1), decimal.Decimal(1), bytearray(), frozenset(), range(2), memoryview(b"")],
    ids=lambda value: type(value).__name__,
)
def test_compared_with_a_value(name: Any, value: Any) -> None:
    """Comparing a name with a value of any of these types says what was forgotten."""
    for compare in (operator.eq, operator.ne):
        with pytest.raises(
            TypeError, match=r"is a name on a server, not a value: compare a\.b\.value instead$"
        ):
            compare(name, value)


@BOTH
def test_compared_with_other_objects(name: Any) -> None:
    """None and objects that are no values differ from every name; a name equals itself."""
    assert name != None  # noqa: E711 -- the comparison is tested
    assert name != object()
    assert name == name  # noqa: PLR0124 -- the comparison is tested
    assert len({name, name}) == 1


@BOTH
def test_kinds_of_objects(name: Any) -> None:
    """To `isinstance` a name is something to call, and nothing to iterate over."""
    assert callable(name)
    assert not isinstance(name, collections.abc.Iterable)
    assert not isinstance(name, collections.abc.Iterator)
    assert not isinstance(name, collections.abc.Container)
    assert not isinstance(name, numbers.Number)


@BOTH
def test_text(name: Any) -> None:
    """A name can be printed."""
    assert f"{name}" == f"{name!s}" == str(name) == repr(name)


def test_truth_of_a_client() -> None:
    """A client is true, as any object."""
    client = NotedClient()

    assert bool(client) is True
    assert bool(easycluster.options(client, timeout=5)) is True


def test_callbacks_of_pools() -> None:
    """Packages that ask whether they were given a function get their answer."""
    client = NotedClient()
    with multiprocessing.pool.ThreadPool(1) as pool:
        assert pool.apply_async(str, (5,), callback=client.store).get() == "5"
        pool.close()
        pool.join()

    assert [call.values for call in noted(client).made] == [("store", ("5",), {})]


def test_other_packages() -> None:
    """Everywhere else a name has no truth."""
    module = types.ModuleType("multiprocessings")
    exec("def ask(name): return bool(name)", vars(module))

    with pytest.raises(TypeError, match="is a name on a server"):
        vars(module)["ask"](NAME)
