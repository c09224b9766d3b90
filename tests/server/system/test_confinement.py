from __future__ import annotations

import os
from typing import Any

import pytest

from easycluster_server._system import confinement
from easycluster_server._system.posix import confinement as posix
from easycluster_server._system.windows import confinement as windows


def test_the_half_of_this_system() -> None:
    """On POSIX the names are those of its half."""
    assert confinement.Confinement is posix.Confinement
    assert confinement.is_all_powerful() is (os.geteuid() == 0)


@pytest.mark.parametrize("given", [{"run_as": "bob"}, {"max_memory": 2**30}, {"nice": 0}])
def test_windows(given: dict[str, Any]) -> None:
    """On Windows nothing can be taken away: what was asked for is named, as keyword and as option."""
    ((name, value),) = given.items()
    with pytest.raises(
        ValueError, match=f"^{name}={value!r} \\(--{name.replace('_', '-')}\\) is not possible on"
    ):
        windows.Confinement(**given)
    assert not windows.Confinement()
