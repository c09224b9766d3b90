"""This process as a service of Windows; tests/integration/test_windows_service.py has one under wine."""

from __future__ import annotations

import pytest

from easycluster_server._system.service_process import ServiceProcess


def test_no_service() -> None:
    """A process that was not started as a service is told so."""
    with pytest.raises(OSError, match="Name is a service of Windows"):
        ServiceProcess("Name")
