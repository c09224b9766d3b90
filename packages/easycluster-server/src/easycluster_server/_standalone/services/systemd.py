"""systemd: a service of the machine, or of one user, that tells when it is ready."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

from easycluster_server._system.accounts import find_comment, is_owner

from . import users
from .accounts import USERADD, make_user, own, remove_account
from .service import Service
from .steps import Run, Step, WriteFile, run_command
from .systemd_units import (
    Unit,
    find_bad_address,
    make_service_unit,
    make_socket_unit,
    make_strict_drop_in,
)

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

#: The first version of systemd that hands over credentials.
_WITH_CREDENTIALS = 247

_SERVICE = "easycluster.service"
_SOCKET = "easycluster.socket"


class SystemdService(Service):
    """A service of systemd.

    Args:
        program: see `Service`.
        per_user: see `Service`.
        version: the version of systemd; None asks it, and takes a new one where it is not.
    """

    system = "systemd"
    tested = "tested with systemd 252, on Debian 12"
    has_users = True

    def __init__(self, program: Sequence[str], per_user: bool = False, version: Optional[int] = None) -> None:
        super().__init__(program, per_user)
        self._has_credentials = (_find_version() if version is None else version) >= _WITH_CREDENTIALS
        self.log_hint = f"journalctl {'--user-unit' if per_user else '-u'} easycluster"
        folder = os.path.expanduser("~/.config/systemd/user") if per_user else "/etc/systemd/system"
        self._service_path = f"{folder}/{_SERVICE}"
        self._socket_path = f"{folder}/{_SOCKET}"
        self._strict_path = f"{folder}/{_SERVICE}.d/strict.conf"

    @classmethod
    def is_here(cls) -> bool:
        """Return whether systemd is this machine's first process."""
        return os.path.isdir("/run/systemd/system")

    def find_foreign(self, settings: Settings) -> str:
        """Return why a setting is impossible on every machine of this system, or ""."""
        for name in ("open_firewall", "service_user", "strict") if self.per_user else ("open_firewall",):
            if settings.has(name):
                owner = "Windows" if name == "open_firewall" else "the machine: leave out --user"
                return f"--{name.replace('_', '-')} is for a service of {owner}"
        return ""

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible, or ""."""
        foreign = self.find_foreign(settings)
        if foreign:
            return foreign
        user = settings.text("service_user")
        if user not in (None, users.NAME) and find_comment(str(user)) is None:
            return f"--service-user: there is no user {user!r}"
        return self._find_socket_problem(settings) or self._find_program_problem(settings)

    def _find_socket_problem(self, settings: Settings) -> str:
        if not settings.has("restart_safe"):
            return ""
        if settings.number("port") == 0:
            return "--restart-safe needs a port: choose one with -p"
        address = find_bad_address(settings)
        return f"-b: with --restart-safe it takes an IP address, and {address!r} is none" if address else ""

    def _find_program_problem(self, settings: Settings) -> str:
        program = self.program[0]
        home = re.match("/(home|root)/", program)
        if settings.has("strict") and home:
            return f"--strict hides {home[0]}, and {program} is there: install it elsewhere"
        if self.per_user or self._find_user(settings) != users.NAME:
            return ""
        closed = users.find_closed_folder(program)
        if not closed:
            return ""
        return (
            f"the service runs as the user {users.NAME}, and others cannot look into {closed}, where "
            f"{program} is: install it elsewhere, or name another user with --service-user"
        )

    # Files.

    def installed_files(self) -> List[str]:
        """Return the paths of service, socket and drop-in, and of the folder of drop-ins."""
        return [self._service_path, self._socket_path, self._strict_path, os.path.dirname(self._strict_path)]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the service, and if they are wanted its socket and the strict drop-in."""
        user = None if self.per_user else self._find_user(settings)
        unit = Unit(self.serve_command, self.config_path, self.per_user, user, self._has_credentials)
        files = [WriteFile(self._service_path, make_service_unit(unit, settings))]
        if settings.has("restart_safe"):
            files.append(WriteFile(self._socket_path, make_socket_unit(settings)))
        if settings.has("strict"):
            files.append(WriteFile(self._strict_path, make_strict_drop_in(settings)))
        return files

    # Steps.

    def prepare(self, settings: Settings) -> List[Step]:
        """Return the steps that make the user of the service, and give up a socket that is not wanted."""
        steps: List[Step] = []
        if not self.per_user:
            steps += make_user(USERADD, self._find_user(settings) or "")
        if not settings.has("restart_safe"):
            steps.append(self._give_up(_SOCKET, self._socket_path))
        return steps

    def register(self, settings: Settings) -> List[Step]:
        """Return the steps that enable the service."""
        steps: List[Step] = []
        user = self._find_user(settings)
        if not self.per_user and user is not None and not self._has_credentials:
            # The server reads the file itself.
            steps.append(Run("chown", user, self.key_path, unless=lambda: is_owner(user, self.key_path)))
        units = [_SOCKET, _SERVICE] if settings.has("restart_safe") else [_SERVICE]
        steps.append(self._reload())
        steps.append(self._systemctl("enable", *units, unless=lambda: all(map(self._is_enabled, units))))
        if self.per_user:
            # Without it, services of a user run only while the user is logged in.
            steps.append(Run("loginctl", "enable-linger", may_fail=True, unless=users.does_linger))
        return steps

    def unregister(self) -> List[Step]:
        """Return the steps that stop and disable the service."""
        return [self._give_up(_SOCKET, self._socket_path), self._give_up(_SERVICE, self._service_path)]

    def clean_up(self) -> List[Step]:
        """Return the steps that forget the units, and remove the user that was made for the service."""
        steps: List[Step] = [self._reload()]
        if not self.per_user:
            # As in `unix`.
            steps += [own("root", self.key_path), *remove_account(USERADD)]
        return steps

    def left_over(self) -> List[str]:
        """Return the home of the service's user, if there is something in it."""
        return [users.HOME] if not self.per_user and os.path.exists(users.HOME) else []

    def start(self, again: bool = False) -> List[Step]:
        """Return the step that starts it, or starts it again."""
        # The socket comes with it, as something that it requires.
        if again:
            return [self._systemctl("restart", _SERVICE)]
        return [self._systemctl("start", _SERVICE, unless=self.is_running)]

    def stop(self) -> List[Step]:
        """Return the steps that stop it; first its socket, which would start it again."""
        return [self._stop(_SOCKET), self._stop(_SERVICE)]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question whether it runs."""
        return (*self._command, "is-active", _SERVICE)

    # systemctl.

    @property
    def _command(self) -> Tuple[str, ...]:
        return ("systemctl", "--user") if self.per_user else ("systemctl",)

    def _systemctl(self, *words: str, unless: Callable[[], bool] = lambda: False) -> Run:
        return Run(*self._command, *words, unless=unless)

    def _stop(self, unit: str) -> Run:
        return self._systemctl("stop", unit, unless=lambda: not self._asks("is-active", unit))

    def _give_up(self, unit: str, path: str) -> Run:
        """Return the step that stops and disables a unit, if its file is there."""
        return self._systemctl("disable", "--now", unit, unless=lambda: not os.path.exists(path))

    def _reload(self) -> Run:
        def is_known() -> bool:
            output = run_command((*self._command, "show", "--property=NeedDaemonReload", _SERVICE, _SOCKET))[
                1
            ]
            return "=yes" not in output

        return self._systemctl("daemon-reload", unless=is_known)

    def _is_enabled(self, unit: str) -> bool:
        return self._asks("is-enabled", unit)

    def _asks(self, *words: str) -> bool:
        return run_command((*self._command, *words))[0] == 0

    def _find_user(self, settings: Settings) -> Optional[str]:
        """Return the user of the listener; None means root, which can become the user of the connections."""
        if settings.has("run_as"):
            return None
        return settings.text("service_user") or users.NAME


def _find_version() -> int:
    """Return the version of this machine's systemd; where there is none, that of a new one."""
    found = re.match(r"systemd (\d+)", run_command(("systemctl", "--version"))[1])
    return int(found[1]) if found else _WITH_CREDENTIALS
