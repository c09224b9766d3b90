"""The half for POSIX, where there are no services of Windows."""

from __future__ import annotations

import pytest

from easycluster_server._system.posix.service_process import ServiceProcess


def test_no_service() -> None:
    """A process that was not started as a service is told so."""
    with pytest.raises(OSError, match="Name is a service of Windows"):
        ServiceProcess("Name")
