"""``easycluster.parallel`` offers functions for many hosts."""

from __future__ import annotations

import subprocess
import sys

import easycluster
from easycluster import parallel


def test_public_names() -> None:
    """Every public name exists, and comes from the client."""
    for name in parallel.__all__:
        assert getattr(parallel, name).__module__.startswith("easycluster_client.")


def test_it_is_imported_when_it_is_used() -> None:
    """The facade has the module as an attribute, and imports it with the first use only."""
    script = "import sys, easycluster; assert 'easycluster.parallel' not in sys.modules; easycluster.parallel.close_all([])"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
    assert easycluster.parallel is parallel
