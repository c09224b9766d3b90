"""SysV init, as of old Red Hat, Debian, Ubuntu and SuSE: a script that starts a server in the background."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Tuple

from .steps import Remove, Run, Step, WriteFile, quote
from .unix import UnixService

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

#: Values of the shell stand in its first lines; the rest is the same everywhere. Red Hat ends at shutdown
#: only the services that have a file in /var/lock/subsys. The user of the server can write the file with its
#: number, so only that of a process is believed that is this user's and has the words of the command.
_SCRIPT = r"""#!/bin/sh
### BEGIN INIT INFO
# Provides:          easycluster
# Required-Start:    $remote_fs $network $syslog
# Required-Stop:     $remote_fs $network $syslog
# Should-Start:      $named $time
# Should-Stop:       $named
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: EasyCluster server
# Description:       Lets masters that have the key run Python code here.
### END INIT INFO
# chkconfig: 2345 90 10
# description: EasyCluster server, lets masters that have the key run Python code here
#
{note}
user={user}
config={config}
command={command}
words={words}
log_option={log_option}
folder={folder}
pidfile={pidfile}
log={log}
lock={lock}
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

serve() {{
    set -- "$command"
    # A file that the settings name goes before.
    grep -q '^log[[:space:]]*=' "$config" || set -- "$command $log_option"
    set -- "cd / && exec env -i HOME=\"\$HOME\" PATH=$path $1"
    if [ "$user" = root ]; then
        sh -c "$1"
    else
        su -s /bin/sh "$user" -c "$1"
    fi
}}

# Sets pid; fails if no server runs.
find_server() {{
    pid=
    # Opening a pipe would wait for ever.
    [ -f "$pidfile" ] && [ -r "$pidfile" ] && read -r pid <"$pidfile" || return 1
    case $pid in
        '' | *[!0-9]*) return 1 ;;
    esac
    [ -n "$(find "/proc/$pid" -prune -user "$user" 2>/dev/null)" ] || return 1
    case "$(tr '\000' ' ' 2>/dev/null <"/proc/$pid/cmdline")" in
        "$words "*) return 0 ;;
    esac
    return 1
}}

start() {{
    find_server && return 0
    mkdir -p "$folder" && chown "$user" "$folder" || return 1
    [ -e "$log" ] || (umask 077 && : >"$log") || return 1
    chown "$user" "$log" && serve || return 1
    [ ! -d "${{lock%/*}}" ] || : >"$lock"
}}

stop() {{
    find_server && kill -TERM "$pid"
    tries=100
    while find_server && [ "$tries" -gt 0 ]; do
        sleep 0.1 2>/dev/null || {{ sleep 1; tries=$((tries - 9)); }}
        tries=$((tries - 1))
    done
    find_server && kill -KILL "$pid"
    rm -f "$pidfile" "$lock"
}}

say() {{
    echo "easycluster: $*"
}}

case ${{1-}} in
    start)
        if start; then say "runs"; else say "was not started" >&2; exit 1; fi
        ;;
    stop)
        stop
        say "does not run"
        ;;
    restart | force-reload)
        stop
        if start; then say "runs"; else say "was not started" >&2; exit 1; fi
        ;;
    try-restart | condrestart)
        ! find_server || exec "$0" restart
        ;;
    status)
        if find_server; then
            say "runs, its process is $pid"
        elif [ -e "$pidfile" ]; then
            say "died, and left $pidfile"
            exit 1
        else
            say "does not run"
            exit 3
        fi
        ;;
    *)
        echo "Usage: $0 {{start|stop|restart|try-restart|force-reload|status}}" >&2
        exit 2
        ;;
esac
"""


class Places(NamedTuple):
    """The places that a script uses while the server runs.

    Attributes:
        folder: the folder of the file with the number of the process; it belongs to the user of the server.
        log: the file that the server prints to.
        lock: a file that exists while the server is to run.
    """

    folder: str = "/var/run/easycluster"
    log: str = "/var/log/easycluster.log"
    lock: str = "/var/lock/subsys/easycluster"


def make_script(command: Tuple[str, ...], config: str, user: str, note: str, places: Places) -> str:
    """Return the script of the service.

    Args:
        command: what serves in the foreground.
        config: the path of the configuration file, one of the words of ``command``.
        user: the user that the server runs as.
        note: a comment.
        places: other files.
    """
    pidfile = f"{places.folder}/easycluster.pid"
    values = {
        "user": user,
        "config": config,
        "words": " ".join(command),
        "command": quote((*command, "-d", "-P", pidfile)),
        "log_option": quote(("--log", places.log)),
        "folder": places.folder,
        "pidfile": pidfile,
        "log": places.log,
        "lock": places.lock,
    }
    return _SCRIPT.format(note=note, **{name: shlex.quote(value) for name, value in values.items()})


#: Programs that link scripts into the runlevels → how they do it, and undo it.
_REGISTRARS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "update-rc.d": (
        ("update-rc.d", "easycluster", "defaults"),
        ("update-rc.d", "-f", "easycluster", "remove"),
    ),
    "chkconfig": (("chkconfig", "--add", "easycluster"), ("chkconfig", "--del", "easycluster")),
    "insserv": (("insserv", "easycluster"), ("insserv", "-r", "easycluster")),
}

#: The links that start the service, on Debian, Red Hat and SuSE.
_LINKS = ("/etc/rc?.d/S??easycluster", "/etc/rc.d/rc?.d/S??easycluster", "/etc/init.d/rc?.d/S??easycluster")


class SysvService(UnixService):
    """A service of SysV init, or of Upstart, which starts such scripts too."""

    system = "sysv"
    tested = "tested with the sh and update-rc.d of Debian 12, and not on a system that boots by SysV init"

    path = "/etc/init.d/easycluster"

    @classmethod
    def is_here(cls) -> bool:
        """Return whether init starts scripts; a container may have their folder and no init."""
        return os.path.isdir("/etc/init.d") and any(map(os.path.exists, ("/etc/inittab", "/etc/init")))

    def find_problem(self, settings: Settings) -> str:
        """Return why a service with these settings is impossible, or ""."""
        if not any(map(shutil.which, _REGISTRARS)):
            return f"none of {', '.join(_REGISTRARS)} is here, which link scripts into the runlevels"
        return super().find_problem(settings)

    def installed_files(self) -> List[str]:
        """Return the path of the script."""
        return [self.path]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the script."""
        text = make_script(
            self.serve_command,
            self.config_path,
            self.find_user(settings),
            self.note(),
            Places(log=self.log_path),
        )
        return [WriteFile(self.path, text, 0o755)]

    def enable(self) -> List[Step]:
        """Return the step that links the script into the runlevels."""
        return [Run(*_find_registrar()[0], unless=_is_linked)]

    def unregister(self) -> List[Step]:
        """Return the steps that stop the server and remove the links."""
        return [*self.stop(), Run(*_find_registrar()[1], unless=lambda: not _is_linked())]

    def clean_up(self) -> List[Step]:
        """Return the steps that remove the rest."""
        return [Remove(Places().folder), *super().clean_up()]

    def start(self, again: bool = False) -> List[Step]:
        """Return the step that starts it, or starts it again."""
        if again:
            return [Run(self.path, "restart")]
        return [Run(self.path, "start", unless=self.is_running)]

    def stop(self) -> List[Step]:
        """Return the step that stops it."""
        return [Run(self.path, "stop", unless=lambda: not self.is_running())]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question whether it runs."""
        return (self.path, "status")


def _find_registrar() -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """Return the commands that link a script and unlink it; where there is none, as on Debian."""
    found = next((name for name in _REGISTRARS if shutil.which(name)), "update-rc.d")
    return _REGISTRARS[found]


def _is_linked() -> bool:
    return any(map(glob.glob, _LINKS))
