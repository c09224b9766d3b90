from __future__ import annotations

import pytest

from easycluster_protocol._definitions.exec_return import ExecReturn, exec_return


@pytest.mark.parametrize("value", [None, 12, [1, 2]])
def test_a_value_leaves_the_block(value: object) -> None:
    """The value leaves the block, whatever exceptions the block itself catches."""

    def block() -> None:
        try:
            exec_return(value)
        except Exception:
            raise AssertionError("the block caught it") from None

    with pytest.raises(ExecReturn) as caught:
        block()

    assert caught.value.value is value


def test_without_a_value() -> None:
    """A block may end without a value, which is None then."""
    with pytest.raises(ExecReturn) as caught:
        exec_return()

    assert caught.value.value is None
