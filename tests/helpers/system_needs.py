"""Leaves out, by name, the tests whose needs the system does not meet.

A pytest plugin. `scripts/system_requirements` knows what is missing; a test says what it needs by its
``needs_...`` markers; a marker with arguments needs only the things of these names. With
EASYCLUSTER_REQUIRE_ALL=1 a missing thing stops the run instead.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from helpers.pythons import find_pythons, host_pythons

SCRIPT = Path(__file__).parents[2] / "scripts" / "system_requirements"

Missing = dict[str, list[str]]
"""From a marker to the names of what its tests lack."""

_MISSING = pytest.StashKey[Missing]()


def missing_needs() -> Missing:
    """Asks the script what is missing."""
    result = subprocess.run([str(SCRIPT), "--missing"], check=True, capture_output=True, text=True)
    needs: Missing = {}
    for line in result.stdout.splitlines():
        marker, name = line.split("\t")
        needs.setdefault(marker, []).append(name)
    return needs


def pytest_configure(config: pytest.Config) -> None:
    """Stops the run where everything is required and something is missing."""
    needs = missing_needs()
    if needs and os.environ.get("EASYCLUSTER_REQUIRE_ALL") == "1":
        names = ", ".join(name for names in needs.values() for name in names)
        raise pytest.UsageError(f"EASYCLUSTER_REQUIRE_ALL=1, and the system lacks: {names}")
    config.stash[_MISSING] = needs


def pytest_report_header() -> str:
    """Says which Pythons the hosts of this run have."""
    found = find_pythons()
    return f"Pythons of hosts: {', '.join(version for version in host_pythons() if version in found)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what cannot run; the reason carries the test's name, as the summary shows reasons only."""
    needs = config.stash[_MISSING]
    for item in items:
        lacking = [
            name
            for marker in item.iter_markers()
            for name in needs.get(marker.name, ())
            if not marker.args or name in marker.args
        ]
        if lacking:
            item.add_marker(pytest.mark.skip(reason=f"left out: {item.name} needs {', '.join(lacking)}"))
