"""A response in place of its value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from easycluster_client._calls.as_value import NotTheValue


class Response(NotTheValue):
    """Stands for a response."""

    def __repr__(self) -> str:
        return "<response>"


USES: dict[str, Callable[[Any], object]] = {
    "sum": lambda response: response + 1,
    "sum on the right": lambda response: 1 + response,
    "negative": operator.neg,
    "item": lambda response: response[0],
    "loop": list,
    "length": len,
    "order": lambda response: response < 3,
    "number": float,
    "index": lambda response: [1, 2][response],
    "rounded": round,
    "floor": math.floor,
    "format": lambda response: f"{response:.2f}",
}


@pytest.mark.parametrize("name", USES)
def test_use(name: str) -> None:
    """Each use of a value says to call wait()."""
    text = r"^<response> is the response of a call, not its value: call wait\(\) for the value$"
    with pytest.raises(TypeError, match=text):
        USES[name](Response())


def test_attributes() -> None:
    """An attribute that it lacks says so too, with the words of Python; private ones of tools do not."""
    with pytest.raises(AttributeError) as caught:
        Response().value  # type: ignore[attr-defined] # noqa: B018
    assert str(caught.value) == (
        "'Response' object has no attribute 'value': it is the response of a call, and wait() returns the value"
    )
    assert not hasattr(Response(), "value")
    with pytest.raises(AttributeError, match="^'Response' object has no attribute '_repr_html_'$"):
        Response()._repr_html_  # type: ignore[attr-defined] # noqa: B018
    response: Any = Response()
    response.value = 3
    assert response.value == 3


def test_objects() -> None:
    """Everything that any object can do stays."""
    response: Any = Response()

    assert response
    assert response == response  # noqa: PLR0124 -- that is the test
    assert response != 3
    assert response in {response}  # noqa: FURB171 -- it has a hash
    assert f"{response}" == "<response>"
    assert not callable(response)
    assert not isinstance(response, Iterable)
