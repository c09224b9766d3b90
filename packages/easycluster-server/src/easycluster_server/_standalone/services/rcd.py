"""FreeBSD's rc.d: daemon(8) runs the server, and starts it again."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, List, Tuple

from .accounts import PW
from .steps import Run, Step, WriteFile, quote, run_command
from .unix import UnixService

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

_SCRIPT = """\
#!/bin/sh
# PROVIDE: easycluster
# REQUIRE: LOGIN NETWORKING
# KEYWORD: shutdown
#
{note}
. /etc/rc.subr

name=easycluster
desc="Lets masters that have the key run Python code here"
rcvar=easycluster_enable

load_rc_config "$name"
: "${{easycluster_enable:=NO}}"

pidfile=/var/run/easycluster.pid
command=/usr/sbin/daemon
# rc.subr evaluates this once more.
command_args={arguments}
start_precmd=easycluster_prestart

easycluster_prestart()
{{
    [ -e {log} ] || install -o {user} -m 600 /dev/null {log}
}}

run_rc_command "$1"
"""


class RcdService(UnixService):
    """A service of FreeBSD."""

    system = "rcd"
    tested = "not tested on FreeBSD; its script is linted, and run with a stand-in for rc.subr"
    accounts = PW

    path = "/usr/local/etc/rc.d/easycluster"

    @property
    def folder(self) -> str:
        """The folder of configuration and key."""
        return "/usr/local/etc/easycluster"

    @classmethod
    def is_here(cls) -> bool:
        """Return whether this is a FreeBSD; other systems that have rc.subr have no sysrc."""
        return os.path.exists("/etc/rc.subr") and os.path.exists("/usr/sbin/sysrc")

    def installed_files(self) -> List[str]:
        """Return the path of the script."""
        return [self.path]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the script."""
        user = self.find_user(settings)
        daemon = ("-c", "-f", "-r", "-P", "/var/run/easycluster.pid", "-t", "easycluster")
        words = (*daemon, "-u", user, "-o", self.log_path, *self.serve_command)
        text = _SCRIPT.format(
            note=self.note(),
            arguments=shlex.quote(quote(words)),
            user=shlex.quote(user),
            log=shlex.quote(self.log_path),
        )
        return [WriteFile(self.path, text, 0o755)]

    def enable(self) -> List[Step]:
        """Return the step that writes into rc.conf that it starts on boot."""
        return [Run("sysrc", "easycluster_enable=YES", unless=lambda: _read_rc_conf() == "YES")]

    def unregister(self) -> List[Step]:
        """Return the steps that stop it and remove its line from rc.conf."""
        return [*self.stop(), Run("sysrc", "-x", "easycluster_enable", unless=lambda: not _read_rc_conf())]

    def start(self, again: bool = False) -> List[Step]:
        """Return the step that starts it, or starts it again."""
        if again:
            return [Run("service", "easycluster", "onerestart")]
        return [Run("service", "easycluster", "onestart", unless=self.is_running)]

    def stop(self) -> List[Step]:
        """Return the step that stops it."""
        return [Run("service", "easycluster", "onestop", unless=lambda: not self.is_running())]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question whether it runs."""
        return ("service", "easycluster", "onestatus")


def _read_rc_conf() -> str:
    """Return whether the service starts on boot, as rc.conf says it, or "" if it says nothing."""
    status, output = run_command(("sysrc", "-n", "easycluster_enable"))
    return output if status == 0 else ""
