"""What all tests share."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator

import pytest

import easycluster
from easycluster_protocol._definitions import modules, names

pytest_plugins = ["helpers.distribution", "helpers.signals", "helpers.system_needs", "helpers.time_limits"]


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
