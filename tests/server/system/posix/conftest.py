"""What the tests of the fork server share: one for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from easycluster_server._system.posix.worker_starter import ForkServer


@pytest.fixture
def fork_server() -> Iterator[ForkServer]:
    """A fork server of its own for one test."""
    fork_server = ForkServer()
    yield fork_server
    fork_server.close()
