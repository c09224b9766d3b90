"""What a service manager says by the environment, and that it is taken out of there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._standalone.config.credentials import name_credential
from easycluster_server._standalone.service_manager import ServiceManager

OF_MANAGERS = {
    "NOTIFY_SOCKET": "",
    "LISTEN_FDNAMES": "easycluster.socket",
    "CREDENTIALS_DIRECTORY": "/run/credentials/easycluster.service",
    "INVOCATION_ID": "8ed2",
    "JOURNAL_STREAM": "8:1",
    "SYSTEMD_EXEC_PID": "5",
    "STATE_DIRECTORY": "/var/lib/easycluster",
    "WATCHDOG_USEC": "1",
    "MANAGERPID": "1",
    "MEMORY_PRESSURE_WATCH": "/sys/fs/cgroup/x",
    "XPC_SERVICE_NAME": "org.easycluster",
    "SMF_FMRI": "svc:/network/easycluster:default",
    "RC_SVCNAME": "easycluster",
}


def test_environment() -> None:
    """All that is for the service is taken out, and everything else stays."""
    environ = {
        **OF_MANAGERS,
        "PATH": "/bin",
        "HOME": "/root",
        "LISTENER": "x",
        "USER": "ann",
        "MY_RC_FILE": "y",
    }
    ServiceManager(environ)

    assert set(environ) == {"PATH", "HOME", "LISTENER", "USER", "MY_RC_FILE"}


def test_no_manager() -> None:
    """Without a service manager there is nothing, and telling it does nothing."""
    manager = ServiceManager({})
    manager.tell("READY=1")

    assert manager.sockets == []
    assert manager.find_copy("/etc/x.key") == "/etc/x.key"


@pytest.mark.parametrize("abstract", [False, True])
def test_telling(tmp_path: Path, abstract: bool) -> None:
    """What is told arrives in one piece, at a path or at an abstract name; a manager that has gone is no error."""
    name = f"@easycluster-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if abstract else name)
        manager = ServiceManager({"NOTIFY_SOCKET": name})
        manager.tell("READY=1", "STATUS=fine")

        assert receiver.recv(100) == b"READY=1\nSTATUS=fine"
    manager.tell("STOPPING=1")


def test_copies(tmp_path: Path) -> None:
    """The copy of a secret file is found by the file's path; a file without one is its own."""
    copy = tmp_path / name_credential("/etc/easycluster/server.key")
    copy.touch()
    manager = ServiceManager({"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert manager.find_copy("/etc/easycluster/server.key") == str(copy)
    assert manager.has_copy("/etc/easycluster/server.key")
    assert manager.find_copy("/etc/other.key") == "/etc/other.key"
    assert not manager.has_copy("/etc/other.key")


SCRIPT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
from easycluster_server._standalone.service_manager import ServiceManager
mine, others = ({"LISTEN_PID": str(pid), "LISTEN_FDS": "1"} for pid in (os.getpid(), 1))
assert ServiceManager(others).sockets == []
(listening,) = ServiceManager(mine).sockets
print(listening.getsockname()[1], os.get_inheritable(listening.fileno()))
"""


def test_sockets() -> None:
    """Sockets that are for this process are taken, and not passed on to others."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        printed = subprocess.check_output(
            [sys.executable, "-c", SCRIPT, str(listening.fileno())], pass_fds=[listening.fileno()], text=True
        )
        assert printed == f"{listening.getsockname()[1]} False\n"
