"""What all tests share."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterator

import pytest

import easycluster
from easycluster_protocol._definitions import modules, names

pytest_plugins = ["helpers.distribution", "helpers.signals", "helpers.system_needs", "helpers.time_limits"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names that differ from process to process: pytest-xdist would end the run without saying why."""
    for item in items:
        if re.search(r"\bat 0x[0-9a-f]+", item.nodeid):
            raise pytest.UsageError(
                f"the name of a test holds an address, give its values ids: {item.nodeid}"
            )


@pytest.fixture(autouse=True)
def no_definitions() -> Iterator[None]:
    """Definitions, and whom it serves, belong to the process; each test begins without either."""
    _forget_definitions()
    yield
    _forget_definitions()


def _forget_definitions() -> None:
    names.server_names = None
    for block in modules.defined_blocks:
        linecache.cache.pop(modules.get_filename(block), None)
    modules.defined_blocks.clear()
    for name, module in list(sys.modules.items()):
        if isinstance(module, modules.DefinitionsModule):
            del sys.modules[name]
    vars(easycluster).pop("remote_code", None)
