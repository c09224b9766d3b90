"""What all tests share."""

from __future__ import annotations

import re

import pytest

pytest_plugins = [
    "helpers.clients",
    "helpers.distribution",
    "helpers.signals",
    "helpers.system_needs",
    "helpers.time_limits",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that differ from process to process: pytest-xdist would end the run without saying why."""
    for item in items:
        if re.search(r"\bat 0x[0-9a-f]+", item.nodeid):
            raise pytest.UsageError(
                f"the name of a test holds an address, give its values ids: {item.nodeid}"
            )
