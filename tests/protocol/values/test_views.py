"""Views of dictionaries arrive as views."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from easycluster_protocol._pickling import loads
from easycluster_protocol._values.reductions import dumps_value

PAIRS = {"a": 1, "b": [2]}


@pytest.mark.parametrize("make", [dict, OrderedDict])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_views(make: Any, protocol: int) -> None:
    """A view arrives as a view with the same items, which is as good as the one that was sent."""
    source = make(PAIRS)

    keys, values, items, mapping = loads(
        dumps_value((source.keys(), source.values(), source.items(), MappingProxyType(source)), protocol)
    )

    assert (keys, items, mapping) == (source.keys(), source.items(), MappingProxyType(source))
    assert (list(keys), list(values), dict(items)) == (["a", "b"], [1, [2]], PAIRS)
    assert keys & {"a"} == {"a"}
    assert ("a", 1) in items
    assert len(values) == 2
    assert type(mapping) is MappingProxyType
