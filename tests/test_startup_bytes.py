"""`scripts/startup_bytes` says how much goes to a host before its first call, and fails above the limit."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from easycluster_client._ssh import shipment

SCRIPT = Path(__file__).parents[1] / "scripts" / "startup_bytes"


def test_figures_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Each module has a line, and the lines add up to the total, which is below the limit."""
    script = runpy.run_path(str(SCRIPT))
    assert script["main"]() == 0

    lines = capsys.readouterr().out.replace(",", "").splitlines()
    figures = {line.split()[0]: line.split() for line in lines[1:-1]}
    *modules, common, total = figures
    assert set(modules) == shipment.STARTUP_MODULES
    assert sum(int(figures[name][-1]) for name in (*modules, common)) == int(figures[total][1])
    assert figures[total][1] == str(len(shipment.startup_bundle(script["MARKER"], 5, compress=False)))


def test_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte above the limit is a failure."""
    script = runpy.run_path(str(SCRIPT))
    size = len(shipment.startup_bundle(script["MARKER"], 5, compress=False))

    monkeypatch.setattr(shipment, "MAX_STARTUP_BYTES", size)
    assert script["main"]() == 0
    monkeypatch.setattr(shipment, "MAX_STARTUP_BYTES", size - 1)
    assert script["main"]() == 1
