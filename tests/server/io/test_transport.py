from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from easycluster_server._io.transport import is_connection_error


def raise_late() -> None:
    """As a signal handler of a user's."""
    raise TimeoutError("too late")


@pytest.mark.parametrize("cause", [raise_late, lambda: os.close(-1)])
def test_errors_of_others(cause: Callable[[], None]) -> None:
    """An OSError that was not raised by a step of a transport does not mean that a connection broke."""
    with pytest.raises(OSError, match=r"too late|Bad file") as caught:
        cause()

    assert not is_connection_error(caught.value)
    assert not is_connection_error(TimeoutError("never raised"))
