from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from easycluster_server._standalone.port_owner import find_port_owner


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_owner(family: int) -> None:
    """The process that listens is named; a port that nobody has is nobody's."""
    with socket.socket(family) as listening:
        listening.bind(("", 0))
        port = listening.getsockname()[1]
        assert find_port_owner(port) is None
        listening.listen()
        owner = find_port_owner(port)

    assert owner is not None
    assert owner.startswith(f"process {os.getpid()} (")
    assert find_port_owner(port) is None


def test_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be read, nothing is said."""

    def fail(*arguments: Any, **options: Any) -> None:
        raise PermissionError

    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(os, "readlink", fail)
        assert find_port_owner(listening.getsockname()[1]) is None
    monkeypatch.setattr("builtins.open", fail)
    assert find_port_owner(1) is None
