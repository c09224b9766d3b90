"""The first hop of an ssh, as its configuration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_client._ssh.hops import find_first_hop
from helpers.fake_ssh import FakeSsh, address


@pytest.mark.parametrize(
    ("settings", "hop"),
    [
        ("hostname 192.0.2.1\nport 2222\n", "192.0.2.1:2222"),
        ("hostname 192.0.2.1\nport 22\nproxyjump none\nproxycommand none\n", "192.0.2.1:22"),
        ("hostname h\nport 22\nproxyjump me@gate:2222,inner\n", "gate:2222"),
        ("hostname h\nport 22\nproxyjump gate\n", "gate"),
        ("hostname h\nport 22\nproxycommand ssh -W %h:%p gate\n", "ssh -W %h:%p gate"),
        ("", "h:22"),
    ],
)
def test_first_hop(tmp_path: Path, settings: str, hop: str) -> None:
    """It is the first jump host, the command that is used as a proxy, or the host under its real name."""
    ssh = FakeSsh(tmp_path)
    ssh.configure(settings)

    assert find_first_hop(address(ssh.path)) == hop


def test_program_that_is_no_openssh() -> None:
    """A program that cannot be asked leads to the host by the name that it is given."""
    assert find_first_hop(address("/bin/true", host="lab1", port=2222)) == "lab1:2222"
