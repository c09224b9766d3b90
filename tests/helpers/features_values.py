"""The features of `helpers.features` that are kinds of values: each goes to the host and comes back."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import http
import ipaddress
import pathlib
import re
import signal
import types
import uuid
from typing import Any

from easycluster import DeserializationError, remote_code
from helpers.features import Lacking, Pair, caught, feature


def _come_back(pair: Pair, *values: Any) -> None:
    """See that values are the same after a way to the host and back."""
    for value in values:
        back = pair.client.same(value)
        assert type(back) is type(value), f"{value!r} came back as {back!r} of {type(back)}"
        assert back == value, f"{value!r} came back as {back!r}"


@feature
def dates(pair: Pair) -> None:
    """Moments, days, differences and fixed time zones."""
    zone = dt.timezone(dt.timedelta(hours=5, minutes=45), "Nepal")
    moment = dt.datetime(2026, 10, 25, 2, 30, 15, 123456, zone, fold=1)
    _come_back(pair, moment, moment.date(), moment.timetz(), zone, dt.timedelta(days=-1, microseconds=5))
    assert pair.client.same(moment).fold == 1
    assert pair.client.same(moment).tzname() == "Nepal"
    assert pair.client.same(dt.timezone.utc) is dt.timezone.utc
    assert pair.client.datetime.datetime.fromtimestamp(0, dt.timezone.utc).year == 1970


@feature
def paths(pair: Pair) -> None:
    """Paths of either kind, to the host and back."""
    _come_back(pair, pathlib.Path("/some/where"), pathlib.PureWindowsPath("c:/x"))


@feature
def enums(pair: Pair) -> None:
    """Enumerations of the definitions and of the standard library: a member is the same member again."""
    colour, access = remote_code.Colour, remote_code.Access
    for member in (
        colour.RED,
        access.READ,
        access.READ | access.WRITE,
        remote_code.Rank.FIRST,
        signal.SIGTERM,
        http.HTTPStatus.OK,
        re.IGNORECASE,
    ):
        assert isinstance(member, enum.Enum)
        assert pair.client.same(member) is member, f"{member!r} is {pair.client.same(member)!r}"


@feature
def numbers_and_collections(pair: Pair) -> None:
    """What scripts send every day of the standard library."""
    _come_back(
        pair,
        1 << 200,
        1 + 2j,
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        ipaddress.ip_address("::1"),
        frozenset({1, 2}),
        range(1, 10, 3),
        slice(1, None, 2),
        collections.deque([1, 2], 5),
        collections.OrderedDict(b=1, a=2),
        collections.Counter("aab"),
        collections.defaultdict(list, a=[1]),
        collections.ChainMap({"a": 1}, {"b": 2}),
        types.SimpleNamespace(a=1),
        re.compile(r"\d+", re.IGNORECASE),
        Ellipsis,
        len,
        ValueError,
    )


@feature
def dataclasses(pair: Pair) -> None:
    """Data classes of the definitions."""
    try:
        pair.client.call("__import__", "dataclasses", origexc="quiet")
    except ModuleNotFoundError:
        error = caught(DeserializationError, pair.client.same, remote_code.Point(1, 2), origexc="quiet")
        assert "Point" in str(error)
        raise Lacking from None
    point = pair.client.Point(1, y=2)
    assert point == remote_code.Point(1, 2)
    _come_back(pair, point)
