"""What all tests share."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator

import pytest

import easycluster
from easycluster_protocol import _definitions, _globals

pytest_plugins = ["helpers.system_needs"]


@pytest.fixture(autouse=True)
def no_definitions() -> Iterator[None]:
    """Definitions, and whom it serves, belong to the process; each test begins without either."""
    _forget_definitions()
    yield
    _forget_definitions()


def _forget_definitions() -> None:
    _globals.serving = None
    for block in _definitions.log:
        linecache.cache.pop(_definitions.filename(block), None)
    _definitions.log.clear()
    for name, module in list(sys.modules.items()):
        if isinstance(module, _definitions.DefinitionsModule):
            del sys.modules[name]
    vars(easycluster).pop("remote_code", None)
