"""Errors of usage are the user's, and no error of the library."""

from __future__ import annotations

from easycluster_protocol.errors import EasyClusterError
from easycluster_server._command_line.errors import UsageError


def test_usage_errors() -> None:
    """No handler for EasyCluster's own errors takes an error of usage for one of them."""
    assert not issubclass(UsageError, EasyClusterError)
