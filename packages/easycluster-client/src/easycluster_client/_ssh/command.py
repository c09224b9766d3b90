"""The command line of ssh.

To the arguments of the user it adds only options that find dead connections, if the user has configured none,
and options that undo settings with which ssh runs no command or changes the bytes that it passes on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import easycluster_bootstrap as bootstrap
from easycluster_client._process import children
from easycluster_protocol.errors import ConnectError, SpecError
from easycluster_server._system.programs import shield_command, with_old_limit

from .standard_input import check_standard_input

if TYPE_CHECKING:
    from easycluster_client._address import Address

#: How many messages of ssh without an answer are the end of a connection: its own default. The first is sent
#: after as long a silence as lies between two of them.
_ALIVE_COUNT = 3

#: The values of ServerAliveInterval that no user has configured, with the values of BatchMode for which they
#: are the default: Debian's ssh has one of its own.
_UNSET_INTERVALS = (("0", "no"), ("0", "yes"), ("300", "yes"))

#: The settings without which ssh does not run our command or does not pass its bytes on: the name, the values
#: that are allowed, and the option that undoes any other value. For ssh the first value of an option counts,
#: so these options come before the user's own.
_NEEDED_SETTINGS = (
    ("remotecommand", ("none",), "RemoteCommand=none"),
    ("sessiontype", ("default",), "SessionType=default"),
    ("stdinnull", ("no", "false"), "StdinNull=no"),
    ("forkafterauthentication", ("no", "false"), "ForkAfterAuthentication=no"),
)

#: The values of RequestTTY with which our command gets no terminal, which would change bytes. Of the flags
#: for a terminal the last one counts.
_NO_TERMINAL = ("no", "false", "auto")

#: Seconds that ssh has to print its configuration.
_QUERY_TIMEOUT = 1.0


def build_command(address: Address) -> list[str]:
    """Return the command that starts ssh.

    Raises:
        ConnectError: there is no such program.
        SpecError: the command for Python cannot work, or a command would take our code for passwords.
    """
    program, *arguments = _build_arguments(address)
    path = shutil.which(program)
    if path is None:
        advice = "install OpenSSH's client, or name another program with ssh=PATH"
        raise ConnectError(f"there is no program {program!r} ({advice})")
    check_standard_input([program, *address.extra_args], "the command of ssh=")
    try:
        remote_command = bootstrap.remote_command(address.rpython)
    except ValueError as error:
        raise SpecError(f"rpython cannot be used: {error}") from None
    check_standard_input(_split(address.rpython or ""), "rpython")
    first, last = _choose_options(read_settings(address), address.keep_alive.limit)
    # "--" ends the options, so ssh can take no host name for an option.
    remote = ["--", address.host, remote_command]
    return shield_command([path, *first, *arguments, *last, *remote])


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # the host's shell may understand it all the same
        return command.split()


def format_manual_command(address: Address) -> str:
    """Return the command by which a user would try the same connection by hand."""
    port = ["-p", str(address.port)] if address.port is not None else []
    login = address.host if address.user is None else f"{address.user}@{address.host}"
    return shlex.join([_get_program(address), *address.extra_args, *port, login])


def get_program_name(address: Address) -> str:
    """Return the name of the program that is called as ssh, without its folder."""
    program = _get_program(address)
    return os.path.basename(program) or program


def _get_program(address: Address) -> str:
    return os.path.expanduser(address.ssh) if isinstance(address.ssh, str) else "ssh"


def _build_arguments(address: Address) -> list[str]:
    """Return the program and the arguments that say how to reach the host."""
    arguments = [_get_program(address), *address.extra_args]
    if address.port is not None:
        arguments += ["-p", str(address.port)]
    if address.user is not None:
        arguments += ["-l", address.user]
    return arguments


def _choose_options(settings: dict[str, str], limit: float | None) -> tuple[list[str], list[str]]:
    """Return the options to add before the user's own arguments, and those to add after them.

    Args:
        settings: the configuration of ssh.
        limit: seconds after which a connection that is dead is to end; None: never.
    """
    first: list[str] = []
    for name, allowed, option in _NEEDED_SETTINGS:
        if settings.get(name, allowed[0]) not in allowed:
            first += ["-o", option]
    last = ["-T"] if settings.get("requesttty", "auto") not in _NO_TERMINAL else []
    found = (settings.get("serveraliveinterval"), settings.get("batchmode", "no"))
    if limit is not None and found in _UNSET_INTERVALS:
        last += _find_dead_connections(limit)
    return first, last


def _find_dead_connections(limit: float) -> list[str]:
    """Return the options with which ssh ends a dead connection within so many seconds; two are the least."""
    interval = max(1, int(limit / (_ALIVE_COUNT + 1)))
    options = ["-o", f"ServerAliveInterval={interval}"]
    count = max(1, int(limit / interval) - 1)
    return options if count == _ALIVE_COUNT else [*options, "-o", f"ServerAliveCountMax={count}"]


def read_settings(address: Address) -> dict[str, str]:
    """Return the configuration of ssh for a host, as ssh prints it; empty if the program is not OpenSSH."""
    program, *arguments = _build_arguments(address)
    if os.path.basename(program).lower() not in (
        "ssh",
        "ssh.exe",
    ):  # another program might do more than print when it is started
        return {}
    query = with_old_limit([program, "-G", *arguments, "--", address.host])
    try:
        with subprocess.Popen(
            query, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                settings, _ = process.communicate(timeout=_QUERY_TIMEOUT)
            except BaseException:
                children.terminate(process)
                raise
    except (OSError, ValueError, subprocess.SubprocessError):  # it cannot be started, or does not answer
        return {}
    if process.returncode != 0:
        return {}
    lines = settings.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")[:-1]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}
