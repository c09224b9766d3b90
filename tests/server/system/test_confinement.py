from __future__ import annotations

import os

from easycluster_server._system import confinement
from easycluster_server._system.posix import confinement as posix


def test_the_half_of_this_system() -> None:
    """On POSIX the names are those of its half."""
    assert confinement.Confinement is posix.Confinement
    assert confinement.is_all_powerful() is (os.geteuid() == 0)
