from __future__ import annotations

import os
import subprocess

import pytest

from easycluster_server._system.posix.detachable import check_may_stay


def test_processes_that_may_stay() -> None:
    """Each process that exists may, and others are an error."""
    check_may_stay(os.getpid())
    with subprocess.Popen(["true"]) as ended:
        pass
    with pytest.raises(ProcessLookupError):
        check_may_stay(ended.pid)
