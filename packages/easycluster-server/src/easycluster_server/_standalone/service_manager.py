"""The service manager that started this process, as systemd: the sockets it holds, its copies of secret
files, and what it wants to be told.

All of that comes by variables of the environment. They are for this process, and not for the code of
clients: taking them removes them, and with them whatever else service managers put there for their services.
"""

from __future__ import annotations

import os
import re
import socket
from typing import List, MutableMapping

from easycluster_server._system.background import send_datagram

from .config.credentials import name_credential

#: The first descriptor that systemd passes on (SD_LISTEN_FDS_START).
_FIRST_SOCKET = 3

#: Variables of systemd.exec(5), launchd, SMF and OpenRC that describe the service.
_OF_MANAGERS = re.compile(
    "NOTIFY_SOCKET|LISTEN_(FDS|PID|FDNAMES|PIDFDID)|(ENCRYPTED_)?CREDENTIALS_DIRECTORY|INVOCATION_ID"
    "|JOURNAL_STREAM|LOG_NAMESPACE|SYSTEMD_.*|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY"
    "|WATCHDOG_(PID|USEC)|MAINPID|MANAGERPID|MANAGERPIDFDID|PIDFILE|FDSTORE|MEMORY_PRESSURE_(WATCH|WRITE)"
    "|SERVICE_RESULT|EXIT_(CODE|STATUS)|MONITOR_.*|TRIGGER_.*|REMOTE_(ADDR|PORT)"
    "|XPC_.*|LAUNCH.*_SOCKET|SMF_.*|RC_.*|EINFO_.*|SVCNAME"
)


class ServiceManager:
    """What a service manager has said to this process, or nothing.

    Args:
        environ: the environment of the process; what is for the service alone is taken out.

    Attributes:
        sockets: the listening sockets that it holds for this service.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        taken = {name: value for name, value in environ.items() if _OF_MANAGERS.fullmatch(name)}
        for name in taken:
            del environ[name]
        self._notify = taken.get("NOTIFY_SOCKET", "")
        self._credentials = taken.get("CREDENTIALS_DIRECTORY", "")
        self.sockets: List[socket.socket] = []
        if taken.get("LISTEN_PID") == str(os.getpid()):
            self.sockets = [
                _adopt(_FIRST_SOCKET + number) for number in range(int(taken.get("LISTEN_FDS", "0")))
            ]

    def find_copy(self, path: str) -> str:
        """Return its copy of a secret file, or the file itself if it has none."""
        copy = os.path.join(self._credentials, name_credential(path))
        return copy if self._credentials and os.path.exists(copy) else path

    def has_copy(self, path: str) -> bool:
        """Return whether it keeps a copy of a secret file; it lets nobody else read that."""
        return self.find_copy(path) != path

    def tell(self, *lines: str) -> None:
        """Tell how the service does, as "READY=1"; without a service manager that wants it, do nothing."""
        if not self._notify:
            return
        # A name that begins with @ is abstract: it has a NUL there.
        address = "\0" + self._notify[1:] if self._notify.startswith("@") else self._notify
        try:
            send_datagram(address, "\n".join(lines).encode())
        except OSError:  # it has gone, and the service goes on
            pass


def _adopt(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)
