"""Slips that would do something else in silence: each is an error, or does the right thing, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster import define_common, eval_multi

MORE = """
limit = 3

def get_limit():
    return limit
"""


def test_attribute_of_the_client(far: Any) -> None:
    """Assigning to a client where a definition is meant changes neither, and says what to write."""
    with pytest.raises(AttributeError, match=r"^limit is among the definitions: .* assign to \.limit\.value"):
        far.limit = 5
    far.rack = "left"

    assert (far.limit.value, far.rack) == (3, "left")
    far.limit.value = 5
    assert far.get_limit() == 5


def test_name_used_as_a_value(far: Any) -> None:
    """A name is not its value: using it as if it were says what to write, and that works."""
    for use in (bool, float, list, lambda name: name + 1, lambda name: 1 in name, lambda name: name[0]):
        with pytest.raises(TypeError, match=r"write host\.limit\.value to read it, or host\.limit\(\.\.\.\)"):
            use(far.limit)

    assert far.limit.value + 1 == 4
    assert bool(far)


def test_name_as_a_completion_function(far: Any, spawn: Any) -> None:
    """A function of another host may be a completion function, although its name has no truth."""
    other = spawn()
    response = far.get_limit(oncomplete=other.names.append)
    other.execblock("names = []")
    assert response.wait() == 3
    assert other.names.value == [3]


def test_code_that_is_no_text(far: Any) -> None:
    """A function where code is wanted is refused in this process, and `call` takes it."""
    function: Any = abs
    for use in (far.eval, far.execblock, define_common, lambda function: eval_multi([far], function)):
        with pytest.raises(TypeError, match=r"the text of .* host\.call\("):
            use(function)

    assert far.call(abs, -3) == 3
    with pytest.raises(TypeError, match=r"write host\.get_limit\(\.\.\.\) or call\('get_limit', \.\.\.\)"):
        far.call(far.get_limit)
    assert far.call("get_limit") == 3
