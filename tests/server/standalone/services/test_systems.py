"""Which way of services this machine has."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from easycluster_server._standalone.services.systems import SYSTEMS, find_system

#: From what exists on a machine to the way of its services.
MACHINES = {
    "debian": (("/run/systemd/system", "/etc/init.d", "/etc/inittab"), "systemd"),
    "old debian": (("/etc/init.d", "/etc/inittab"), "sysv"),
    "old ubuntu": (("/etc/init.d", "/etc/init"), "sysv"),
    "alpine": (("/run/openrc", "/etc/init.d", "/etc/inittab"), "openrc"),
    "freebsd": (("/etc/rc.subr", "/usr/sbin/sysrc"), "rcd"),
    "openbsd": (("/etc/rc.subr",), None),
    "solaris": (("/lib/svc/bin/svc.startd", "/etc/init.d", "/etc/inittab"), "smf"),
    "macos": (("/bin/launchctl", "/System/Library/LaunchDaemons"), "launchd"),
    "debian in a container": (("/etc/init.d",), None),
    "empty": ((), None),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_find_system(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a machine is found by files that only this way has; where there are none, there is none."""
    there, expected = MACHINES[machine]
    look: Callable[[str], bool] = lambda path: path in there  # noqa: E731
    monkeypatch.setattr(os.path, "exists", look)
    monkeypatch.setattr(os.path, "isdir", look)

    found = find_system()

    assert (found and found.system) == expected


def test_names() -> None:
    """The names are those of the documentation, and each says where it was tried."""
    assert set(SYSTEMS) == {"systemd", "windows", "launchd", "smf", "openrc", "rcd", "sysv"}
    assert all(name == each.system and each.tested for name, each in SYSTEMS.items())
