from __future__ import annotations

import shlex

import pytest

from easycluster import EasyClusterError, SpecError
from easycluster_client._ssh.standard_input import check_standard_input

READERS = [
    "sudo -S python3",
    "/usr/bin/sudo -S python3",
    "sudo --stdin python3",
    "sudo -ES -u app python3",
    "sudo -u app -S python3",
    "sudo -uapp -S python3",
    "sudo --user=app -S python3",
    "sudo -p '' -S python3",
    "sudo -H A=b -S python3",
    "env A=b sudo -S python3",
    "sudo -n true && sudo -S python3",
]

OTHERS = [
    "python3 -S",
    "sudo -n python3",
    "sudo -n python3 -S",
    "sudo -nS python3",
    "sudo --non-interactive --stdin python3",
    "sudo -u S python3 -S",
    "sudo -uS python3",
    "sudo -p -S python3",
    "sudo",
    "",
    "/opt/sudo/python3 -S",
]


@pytest.mark.parametrize("command", READERS)
def test_passwords_from_standard_input(command: str) -> None:
    """A sudo that would take our code for passwords is refused, wherever it stands; the error says what to write."""
    with pytest.raises(SpecError, match=r"^rpython cannot use sudo -S: .* write sudo -n") as caught:
        check_standard_input(shlex.split(command), "rpython")

    assert isinstance(caught.value, (ValueError, EasyClusterError))


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands(command: str) -> None:
    """Options of Python, values of options, and a sudo that never asks, are left alone."""
    check_standard_input(shlex.split(command), "rpython")
