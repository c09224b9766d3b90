"""What the tests of the master need in the place of ssh, or of a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from easycluster_client._ssh.process import SshProcess
from helpers.fake_ssh import FakeSsh, end_ssh
from helpers.hand_made import HandMadeServer
from helpers.other_thread import OtherThread


@pytest.fixture
def fake(tmp_path: Path) -> FakeSsh:
    """A program in the place of ssh."""
    return FakeSsh(tmp_path)


@pytest.fixture
def processes() -> Iterator[list[SshProcess]]:
    """What is put here is ended after the test."""
    found: list[SshProcess] = []
    yield found
    for each in found:
        end_ssh(each)


@pytest.fixture
def server() -> Iterator[HandMadeServer]:
    """The other end of a session, played by hand."""
    server = HandMadeServer()
    yield server
    server.close()


@pytest.fixture
def other_thread() -> Iterator[OtherThread]:
    """A second thread, which does what the test tells it."""
    thread = OtherThread()
    yield thread
    thread.close()
