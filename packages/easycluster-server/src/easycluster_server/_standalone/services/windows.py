"""A service of Windows, made and asked by sc.exe."""

from __future__ import annotations

import ntpath
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from .service import Service, find_foreign_option
from .steps import MakeFolder, Remove, Run, ServiceError, Step, WriteFile, run_command

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

_NAME = "EasyCluster"
_REGISTRY = rf"HKLM\SYSTEM\CurrentControlSet\Services\{_NAME}"

#: An account that Windows makes for the service, with the rights of a usual user and no password.
_ACCOUNT = rf"NT SERVICE\{_NAME}"

#: Accounts that have no password.
_ACCOUNTS = (_ACCOUNT, "LocalSystem", r"NT AUTHORITY\LocalService", r"NT AUTHORITY\NetworkService")

#: SYSTEM and the administrators, by numbers that are the same in every language; they may do everything.
_OWNERS = ("*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F")

#: What sc.exe says of a service that runs, and of one that does not.
_RUNNING, _STOPPED = 4, 1

#: The settings that only other systems have a way for.
_OF_OTHERS = ("restart_safe", "strict", "run_as", "max_memory", "nice", "max_connections")

#: Seconds for which a service may start or stop.
_PATIENCE = 30.0


class WindowsService(Service):
    """A service of Windows."""

    system = "windows"
    tested = "tested under wine 8, where access control lists and firewall do nothing, and not on Windows"
    paths = ntpath

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        super().__init__(program, per_user)
        self._log_folder = ntpath.join(self.folder, "log")
        self._log_path = ntpath.join(self._log_folder, "server.log")
        self.log_hint = self._log_path

    @property
    def folder(self) -> str:
        """The folder of configuration and key."""
        return ntpath.join(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "EasyCluster")

    @property
    def serve_command(self) -> Tuple[str, ...]:
        """What Windows has to run."""
        interpreter = _find_base(self.program[0]) or self.program[0]
        module = "easycluster_server._command_line.windows_service"
        return (interpreter, "-m", module, _NAME, self.config_path, self._log_path)

    @classmethod
    def is_here(cls) -> bool:
        """Return whether this is Windows."""
        root = os.environ.get("SYSTEMROOT", "")
        return bool(root) and os.path.exists(os.path.join(root, "System32", "sc.exe"))

    def find_foreign(self, settings: Settings) -> str:
        """Return why a setting is impossible on every machine of this system, or ""."""
        return find_foreign_option(settings, _OF_OTHERS, "Windows")

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible, or ""."""
        foreign = self.find_foreign(settings)
        if foreign:
            return foreign
        account = self._find_account(settings)
        if account not in _ACCOUNTS and not account.endswith("$"):
            known = ", ".join(_ACCOUNTS)
            return (
                f"--service-user: {account} has a password, which Windows asks for in services.msc: install "
                f"without it, and choose the user there; the accounts without a password are {known}"
            )
        if account == _ACCOUNT and re.match(r"[a-z]:\\users\\", self.serve_command[0], re.IGNORECASE):
            return (
                f"the account of the service cannot read {self.serve_command[0]}: install Python for all "
                "users, or let the service do all that this machine can, with --service-user LocalSystem"
            )
        return ""

    # Files.

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return none: Windows keeps its services in the registry."""
        return []

    def installed_files(self) -> List[str]:
        """Return none, for the same reason."""
        return []

    def is_installed(self) -> bool:
        """Return whether it is installed."""
        return _find_state() is not None

    # Steps.

    def prepare(self, settings: Settings) -> List[Step]:
        """Return the steps that make the folders, which no other user can write to or read."""
        # Everyone may make folders in the one above, and then owns them.
        is_made = self._is_current(settings)
        return [
            MakeFolder(self.folder),
            Run("icacls", self.folder, "/setowner", "*S-1-5-32-544", "/q", unless=lambda: is_made),
            Run("icacls", self.folder, "/inheritance:r", "/grant:r", *_OWNERS, "/q", unless=lambda: is_made),
            MakeFolder(self._log_folder),
        ]

    def register(self, settings: Settings) -> List[Step]:
        """Return the steps that make the service, and let its account read the key and write the log."""
        exists, is_current = self.is_installed(), self._is_current(settings)
        line = subprocess.list2cmdline(self.serve_command)
        account = self._find_account(settings)
        words = (
            _NAME,
            "binPath=",
            line,
            "start=",
            "auto",
            "obj=",
            account,
            "DisplayName=",
            "EasyCluster server",
        )
        description = "Lets masters that have the key run Python code on this computer."
        restart = ("reset=", "60", "actions=", "restart/1000/restart/1000/restart/5000")
        commands: List[Tuple[str, ...]] = [
            ("sc", "config" if exists else "create", *words),
            ("sc", "description", _NAME, description),
            ("sc", "failure", _NAME, *restart),
        ]
        launcher = self.program[0]
        if _find_base(launcher):
            value = ("/t", "REG_MULTI_SZ", "/d", f"__PYVENV_LAUNCHER__={launcher}", "/f")
            commands.append(("reg", "add", _REGISTRY, "/v", "Environment", *value))
        if account != "LocalSystem":
            # It can change nothing but its log.
            commands.append(("icacls", self.folder, "/grant:r", f"{account}:(RX)", "/q"))
            readable = (self.key_path, self.config_path)
            commands += [("icacls", path, "/grant:r", f"{account}:(R)", "/q") for path in readable]
            commands.append(("icacls", self._log_folder, "/grant:r", f"{account}:(OI)(CI)M", "/q"))
        steps: List[Step] = [Run(*command, unless=lambda: is_current) for command in commands]
        return [*steps, *self._open_firewall(settings)]

    def unregister(self) -> List[Step]:
        """Return the steps that stop and remove it, and close the firewall."""
        return [
            *self.stop(),
            Run("sc", "delete", _NAME, unless=lambda: not self.is_installed()),
            Run(*_FIREWALL, "delete", "rule", f"name={_NAME}", unless=lambda: not _has_rule()),
        ]

    def clean_up(self) -> List[Step]:
        """Return the steps that remove the log."""
        return [Remove(self._log_path), Remove(self._log_folder)]

    def start(self, again: bool = False) -> List[Step]:
        """Return the steps that start it, or start it again, and wait until it runs."""
        start = Run("sc", "start", _NAME, unless=self.is_running)
        steps: List[Step] = [start, Await(_RUNNING, self._log_path)]
        return [*self.stop(), *steps] if again else steps

    def stop(self) -> List[Step]:
        """Return the steps that stop it, and wait until it has stopped."""
        return [
            Run("sc", "stop", _NAME, unless=lambda: _find_state() in (None, _STOPPED)),
            Await(_STOPPED, self._log_path),
        ]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question how it does."""
        return ("sc", "query", _NAME)

    def is_running(self) -> bool:
        """Return whether it runs."""
        return _find_state() == _RUNNING

    # Firewall.

    def advise(self, settings: Settings) -> List[str]:
        """Return how to let others through the firewall, if that is not done."""
        if settings.has("open_firewall") or _has_rule():
            return []
        command = subprocess.list2cmdline(self._rule(settings))
        return [f"for masters on other machines, open the firewall, with --open-firewall or: {command}"]

    def _open_firewall(self, settings: Settings) -> List[Step]:
        if not settings.has("open_firewall"):
            return []
        delete = Run(*_FIREWALL, "delete", "rule", f"name={_NAME}", unless=lambda: not _has_rule())
        return [delete, Run(*self._rule(settings))]

    def _rule(self, settings: Settings) -> Tuple[str, ...]:
        allowed = settings.texts("allow")
        return (
            *(*_FIREWALL, "add", "rule", f"name={_NAME}", "dir=in", "action=allow", "protocol=TCP"),
            f"localport={settings.number('port')}",
            f"program={self.serve_command[0]}",
            *([f"remoteip={','.join(allowed)}"] if allowed else []),
        )

    # The registry.

    def _find_account(self, settings: Settings) -> str:
        if settings.has("run_as"):
            return "LocalSystem"
        return settings.text("service_user") or _ACCOUNT

    def _is_current(self, settings: Settings) -> bool:
        """Return whether the service is there, with this command and account."""
        line = subprocess.list2cmdline(self.serve_command)
        return _is_in_registry("ImagePath", line) and _is_in_registry(
            "ObjectName", self._find_account(settings)
        )


class Await(Step):
    """Wait until the service has a state.

    Args:
        state: the number of the state.
        log: where to look for the reason if it does not come.
    """

    def __init__(self, state: int, log: str) -> None:
        self._state = state
        self._log = log

    def describe(self) -> str:
        """Return what is waited for."""
        return f"wait until the service {'runs' if self._state == _RUNNING else 'has stopped'}"

    def perform(self) -> str:
        """Wait; it changes nothing."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            state = _find_state()
            if state == self._state or (state is None and self._state == _STOPPED):
                return ""
            if state in (None, _STOPPED) or time.monotonic() > deadline:
                verb = "start" if self._state == _RUNNING else "stop"
                raise ServiceError(f"the service does not {verb}; see {self._log}")
            time.sleep(0.05)


_FIREWALL = ("netsh", "advfirewall", "firewall")


def _find_state() -> Optional[int]:
    """Return the number of the service's state, or None if there is no service."""
    status, output = run_command(("sc", "query", _NAME))
    found = re.search(r"STATE\s*:\s*(\d)", output) or re.search(r":\s*([1-7])\s+[A-Z_]+(;|$)", output)
    return int(found[1]) if status == 0 and found else None


def _has_rule() -> bool:
    """Return whether the firewall has a rule of the service."""
    status, output = run_command((*_FIREWALL, "show", "rule", f"name={_NAME}"))
    return status == 0 and _NAME in output


def _is_in_registry(name: str, value: str) -> bool:
    status, output = run_command(("reg", "query", _REGISTRY, "/v", name))
    return status == 0 and value.lower() in output.lower()


def _find_base(interpreter: str) -> str:
    """Return the interpreter that one of a virtual environment starts, or "".

    A service has to be the process that Windows starts, and the interpreter of a virtual environment there
    only starts another.
    """
    base: str = getattr(sys, "_base_executable", "") or ""
    if interpreter != sys.executable or not interpreter.lower().endswith(".exe"):
        return ""
    return base if ntpath.normcase(base) != ntpath.normcase(interpreter) else ""
