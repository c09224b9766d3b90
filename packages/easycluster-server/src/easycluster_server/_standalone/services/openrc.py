"""OpenRC, as of Gentoo and Alpine Linux: its own supervisor runs the server, and starts it again."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING, List, Sequence, Tuple

from .accounts import BUSYBOX, USERADD
from .steps import Run, Step, WriteFile, quote, run_command
from .unix import UnixService

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

_SCRIPT = """\
#!/sbin/openrc-run
{note}
name="EasyCluster server"
description="Lets masters that have the key run Python code here"
supervisor=supervise-daemon
command={program}
command_args={arguments}
command_user={user}
output_log={log}
error_log={log}
retry=TERM/10/KILL/5
respawn_delay=1
respawn_max=0

depend() {{
    need net
    use dns logger
    after firewall
}}

start_pre() {{
    checkpath --file --mode 0600 --owner "$command_user" "$output_log"
}}
"""


class OpenrcService(UnixService):
    """A service of OpenRC."""

    system = "openrc"
    tested = "tested by hand with the programs of OpenRC 0.45, and not on a system that boots by OpenRC"

    path = "/etc/init.d/easycluster"

    def __init__(self, program: Sequence[str], per_user: bool = False) -> None:
        super().__init__(program, per_user)
        self.accounts = BUSYBOX if shutil.which("adduser") and not shutil.which("useradd") else USERADD

    @classmethod
    def is_here(cls) -> bool:
        """Return whether OpenRC has booted this machine."""
        return os.path.isdir("/run/openrc")

    def installed_files(self) -> List[str]:
        """Return the path of the script."""
        return [self.path]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the script."""
        program, *arguments = self.serve_command
        text = _SCRIPT.format(
            note=self.note(),
            program=shlex.quote(program),
            # OpenRC evaluates this once more.
            arguments=shlex.quote(quote(arguments)),
            user=shlex.quote(self.find_user(settings)),
            log=shlex.quote(self.log_path),
        )
        return [WriteFile(self.path, text, 0o755)]

    def enable(self) -> List[Step]:
        """Return the step that adds it to the default runlevel."""
        return [Run("rc-update", "add", "easycluster", "default", unless=_is_added)]

    def unregister(self) -> List[Step]:
        """Return the steps that stop it and take it from its runlevel."""
        return [
            *self.stop(),
            Run("rc-update", "del", "easycluster", "default", unless=lambda: not _is_added()),
        ]

    def start(self, again: bool = False) -> List[Step]:
        """Return the step that starts it, or starts it again."""
        if again:
            return [Run("rc-service", "easycluster", "restart")]
        return [Run("rc-service", "easycluster", "start", unless=self.is_running)]

    def stop(self) -> List[Step]:
        """Return the step that stops it."""
        return [Run("rc-service", "easycluster", "stop", unless=lambda: not self.is_running())]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question whether it runs."""
        return ("rc-service", "easycluster", "status")


def _is_added() -> bool:
    return "easycluster" in run_command(("rc-update", "show", "default"))[1].replace("|", " ").split()
