"""The command line of ssh: nothing is passed that the user did not ask for, but what keeps a connection alive
when nothing does, and what undoes settings with which ssh runs no command or mangles its bytes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import easycluster_bootstrap as bootstrap
from easycluster_client._process import children
from easycluster_protocol.errors import ConnectError

if TYPE_CHECKING:
    from easycluster_client._address import Address

#: Seconds between the questions by which ssh finds a dead connection, when the user's configuration
#: has none. It gives up after three of them without an answer.
_ALIVE_INTERVAL = 15

#: Settings with which ssh does not run our command or does not pass its bytes on: what they may be, and what
#: undoes another value. ssh takes the first word, so these options stand before the user's own.
_NEEDED = (
    ("remotecommand", ("none",), "RemoteCommand=none"),
    ("sessiontype", ("default",), "SessionType=default"),
    ("stdinnull", ("no", "false"), "StdinNull=no"),
    ("forkafterauthentication", ("no", "false"), "ForkAfterAuthentication=no"),
)

#: The same for a terminal, which mangles bytes. Of its flags ssh takes the last one.
_WITHOUT_TERMINAL = ("no", "false", "auto")

#: Seconds that ssh has to tell what it is configured to.
_ASK_LIMIT = 1.0

#: Ctrl-C is for the master: ssh, which is in the same process group so that it can ask on the
#: terminal, leaves the signal ignored when it was started so.
_IGNORE_INTERRUPTS = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]


def command(address: Address) -> list[str]:
    """Return the command that starts ssh.

    Raises:
        ConnectError: there is no such program.
    """
    program, *arguments = _arguments(address)
    path = shutil.which(program)
    if path is None:
        raise ConnectError(
            f"there is no program {program!r} "
            "(install OpenSSH's client, or name another program with ssh=PATH)"
        )
    first, last = _own_options(_settings(address))
    # "--" ends the options, so no host name can be read as one.
    remote = ["--", address.host, bootstrap.remote_command(address.rpython)]
    return [*_IGNORE_INTERRUPTS, path, *first, *arguments, *last, *remote]


def by_hand(address: Address) -> str:
    """Return the command by which a user would try the same."""
    port = ["-p", str(address.port)] if address.port is not None else []
    login = address.host if address.user is None else f"{address.user}@{address.host}"
    return shlex.join([_program(address), *address.extra_args, *port, login])


def _program(address: Address) -> str:
    return address.ssh if isinstance(address.ssh, str) else "ssh"


def _arguments(address: Address) -> list[str]:
    """Return the program and those of its arguments that lead to the host."""
    arguments = [_program(address), *address.extra_args]
    if address.port is not None:
        arguments += ["-p", str(address.port)]
    if address.user is not None:
        arguments += ["-l", address.user]
    return arguments


def _own_options(settings: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the options that the user did not ask for: those before the user's own and those behind."""
    first: list[str] = []
    for name, allowed, option in _NEEDED:
        if settings.get(name, allowed[0]) not in allowed:
            first += ["-o", option]
    last = ["-T"] if settings.get("requesttty", "auto") not in _WITHOUT_TERMINAL else []
    if settings.get("serveraliveinterval") == "0":
        last += ["-o", f"ServerAliveInterval={_ALIVE_INTERVAL}"]
    return first, last


def _settings(address: Address) -> dict[str, str]:
    """Return what ssh says that it is configured to; nothing when it is not OpenSSH."""
    program, *arguments = _arguments(address)
    if os.path.basename(program) != "ssh":  # something else may do more than answer when it is called
        return {}
    question = [program, "-G", *arguments, "--", address.host]
    try:
        with subprocess.Popen(
            question, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                settings, _ = process.communicate(timeout=_ASK_LIMIT)
            except BaseException:
                children.terminate(process)
                raise
    except (OSError, ValueError, subprocess.SubprocessError):  # it cannot be started, or does not answer
        return {}
    if process.returncode != 0:
        return {}
    lines = settings.decode("utf-8", "replace").split("\n")[:-1]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}
