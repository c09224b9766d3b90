"""launchd, of macOS: a property list that starts the server on boot, or when its user logs in."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple, Union

from easycluster_server._system.accounts import find_comment, find_number

from .accounts import own
from .service import Service, find_foreign_option
from .steps import MakeFolder, Remove, Run, Step, WriteFile, run_command

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

    Job = Dict[str, Union[str, int, bool, List[str], Dict[str, bool]]]

_LABEL = "easycluster.server"

#: The settings that only other systems have a way for.
_OF_OTHERS = ("restart_safe", "strict", "open_firewall")


class LaunchdService(Service):
    """A service of launchd: a daemon of the machine, or an agent of one user."""

    system = "launchd"
    tested = "not tested on macOS; its property list is read back in the tests"
    has_users = True

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        super().__init__(program, per_user)
        library = os.path.expanduser("~/Library") if per_user else "/Library"
        self._path = f"{library}/{'LaunchAgents' if per_user else 'LaunchDaemons'}/{_LABEL}.plist"
        self._log_folder = f"{library}/Logs/EasyCluster"
        self._log_path = f"{self._log_folder}/server.log"
        self.log_hint = self._log_path

    @classmethod
    def is_here(cls) -> bool:
        """Return whether this is macOS."""
        return os.path.exists("/bin/launchctl") and os.path.isdir("/System/Library/LaunchDaemons")

    def find_foreign(self, settings: Settings) -> str:
        """Return why a setting is impossible on every machine of this system, or ""."""
        return find_foreign_option(settings, _OF_OTHERS, self.system)

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible, or ""."""
        foreign = self.find_foreign(settings)
        if foreign:
            return foreign
        user = settings.text("service_user")
        if self.per_user:
            return "--service-user is for a service of the machine: leave out --user" if user else ""
        if not user and not settings.has("run_as"):
            return (
                "no user is made for services on macOS: name one with --service-user, "
                "or install a service of your own with --user"
            )
        if user and find_comment(user) is None:
            return f"--service-user: there is no user {user!r}"
        return ""

    # Files.

    def installed_files(self) -> List[str]:
        """Return the path of the property list."""
        return [self._path]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the property list."""
        import plistlib

        user = "" if self.per_user else self._find_user(settings)
        job = make_job(self.serve_command, self._log_path, user)
        return [WriteFile(self._path, plistlib.dumps(job, sort_keys=False).decode())]

    # Steps.

    def prepare(self, settings: Settings) -> List[Step]:
        """Return the steps that make the folder of the log, which is the user's."""
        steps: List[Step] = [MakeFolder(self._log_folder)]
        if not self.per_user:
            steps.append(own(self._find_user(settings), self._log_folder))
        return steps

    def register(self, settings: Settings) -> List[Step]:
        """Return the steps that give the key to the user, and undo a `launchctl disable`."""
        steps: List[Step] = [] if self.per_user else [own(self._find_user(settings), self.key_path)]
        return [*steps, Run("launchctl", "enable", self._target, unless=lambda: not self._is_disabled())]

    def unregister(self) -> List[Step]:
        """Return the step that stops it; without its file it does not start again."""
        return self.stop()

    def clean_up(self) -> List[Step]:
        """Return the steps that remove the log."""
        return [Remove(self._log_path), Remove(self._log_folder)]

    def start(self, again: bool = False) -> List[Step]:
        """Return the steps that load the property list, and with it start the server."""
        # Only loading again makes launchd read the file again.
        steps: List[Step] = self.stop() if again else []
        return [
            *steps,
            Run("launchctl", "bootstrap", self._domain, self._path, unless=self._is_loaded),
            Run("launchctl", "kickstart", self._target, unless=self.is_running),
        ]

    def stop(self) -> List[Step]:
        """Return the step that unloads it; on the next boot, launchd loads it again."""
        return [Run("launchctl", "bootout", self._target, unless=lambda: not self._is_loaded())]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question how it does."""
        return ("launchctl", "print", self._target)

    def is_running(self) -> bool:
        """Return whether it runs; one that launchd knows may be waiting."""
        status, output = run_command(self.status_command())
        return status == 0 and re.search(r"(^|; )state = running(;|$)", output) is not None

    # launchctl.

    @property
    def _domain(self) -> str:
        return f"gui/{find_number()}" if self.per_user else "system"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{_LABEL}"

    def _is_loaded(self) -> bool:
        return run_command(self.status_command())[0] == 0

    def _is_disabled(self) -> bool:
        output = run_command(("launchctl", "print-disabled", self._domain))[1]
        return re.search(rf'"{re.escape(_LABEL)}" => (true|disabled)', output) is not None

    def _find_user(self, settings: Settings) -> str:
        return "root" if settings.has("run_as") else settings.text("service_user") or "root"


def make_job(command: Sequence[str], log: str, user: str = "") -> Job:
    """Return the dictionary of a property list.

    Args:
        command: what serves in the foreground.
        log: the file for all that is printed.
        user: the user of a daemon; "" for an agent.
    """
    return {
        "Label": _LABEL,
        **({"UserName": user} if user else {}),
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        # A server that was told to stop is not started again.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 10,
        # What masters ask for is not to be slowed down, as background work is.
        "ProcessType": "Interactive",
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
