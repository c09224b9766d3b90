"""The command line of ssh: nothing is passed that the user did not ask for, but for one option."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import easycluster_bootstrap as bootstrap
from easycluster_protocol.errors import ConnectError

from . import _children

if TYPE_CHECKING:
    from ._connect import Address

#: Seconds between the questions by which ssh finds a dead connection, when the user's configuration
#: has none. It gives up after three of them without an answer.
_ALIVE_INTERVAL = 15

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
    # "--" ends the options, so no host name can be read as one.
    remote_command = bootstrap.remote_command(address.rpython)
    return [*_IGNORE_INTERRUPTS, path, *arguments, *_keep_alive(address), "--", address.host, remote_command]


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


def _keep_alive(address: Address) -> list[str]:
    """Return the option that lets ssh find a dead connection, unless the user's configuration has it."""
    program, *arguments = _arguments(address)
    if os.path.basename(program) != "ssh":  # something else may do more than answer when it is called
        return []
    question = [program, "-G", *arguments, "--", address.host]
    try:
        with subprocess.Popen(
            question, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                settings, _ = process.communicate(timeout=_ASK_LIMIT)
            except BaseException:
                _children.end(process)
                raise
    except (OSError, ValueError, subprocess.SubprocessError):  # it is not OpenSSH, or cannot be started
        return []
    if process.returncode == 0 and b"\nserveraliveinterval 0\n" in settings:
        return ["-o", f"ServerAliveInterval={_ALIVE_INTERVAL}"]
    return []
