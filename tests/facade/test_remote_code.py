"""``easycluster.remote_code`` is the module that `define_common` fills."""

from __future__ import annotations

import importlib
import sys

import easycluster
from easycluster_protocol._definitions.modules import DEFAULT_NAME, DefinitionsModule, define_common


def test_importing_it_first() -> None:
    """An import makes it a definitions module, which is empty at first and which later definitions fill."""
    assert DEFAULT_NAME not in sys.modules
    module = importlib.import_module("easycluster.remote_code")

    assert isinstance(module, DefinitionsModule)
    assert module is easycluster.remote_code is sys.modules[DEFAULT_NAME]
    define_common("value = 5")
    assert module.value == 5


def test_importing_it_later() -> None:
    """Definitions that were made before are there when it is imported."""
    define_common("value = 6")

    assert importlib.import_module("easycluster.remote_code").value == 6
    assert easycluster.remote_code.value == 6
