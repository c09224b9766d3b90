"""Failures of ssh: the words that ssh printed and its exit status become one error with advice.

The known words are those of OpenSSH 7 to 10, which does not translate them, and of the commands that may
stand in its place or before Python on the host. Others are only quoted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol.errors import AuthenticationError, ConnectError, VersionError


class _Cause(NamedTuple):
    """A known cause of a failure.

    Attributes:
        words: a regular expression for the words that are printed.
        text: their meaning and some advice; ``{by_hand}``, ``{known_name}`` and ``{program}`` are filled in.
        cls: the class of the error.
    """

    words: str
    text: str
    cls: type[ConnectError] = ConnectError


_NO_PYTHON = _Cause(
    "EasyCluster found no Python",
    "it has no Python that can be found; install Python 3.6 or newer there, or say where it is with"
    " rpython=COMMAND",
)

_TERMINAL = _Cause(
    "EasyCluster got a terminal",
    "the command gives Python a terminal, which changes bytes; remove -t (as in ssh -tt, docker exec -t)",
)

#: The words of our own code on the host. The first cause that fits is taken.
_CAUSES_ON_HOST = (
    _Cause(
        "EasyCluster needs Python",
        "its Python is too old; name a newer one with rpython=COMMAND",
        VersionError,
    ),
    _NO_PYTHON,
    _TERMINAL,
    _Cause(
        r"EasyCluster could not start.*stdin \(0 bytes",
        "Python ran there, but our code did not start: nothing came through its standard input (docker,"
        " podman and kubectl exec pass it on only with -i, ssh only without -n)",
    ),
    _Cause("EasyCluster could not start", "Python ran there, but our code did not start"),
    _Cause(
        "EasyCluster: su would take",
        "su would take our code for the password; log in as root, or write sudo -n instead",
        AuthenticationError,
    ),
)

#: The words of commands that start Python elsewhere or as somebody else, behind ssh or in its place: they
#: have failed before there was anything of ours.
_CAUSES_OF_COMMANDS = (
    _Cause(
        r"sudo: (a terminal is required|no tty present|a password is required|sorry, you must have a tty"
        r"|no password was provided|\d+ incorrect password)"
        r"|doas: (a tty is required|Authorization required|Authentication failed)"
        r"|su: (Authentication failure|must be run from a terminal)",
        "sudo, su or doas asks for a password there, and nobody can give it; allow the command without one"
        " (NOPASSWD in sudoers, nopass in doas.conf), and write sudo -n or doas -n",
        AuthenticationError,
    ),
    _Cause(
        r"is not in the sudoers file|Sorry, user .* is not allowed to execute|doas: Operation not permitted"
        r"|runuser: may not be used by non-root users",
        "the user of the login may not run this command as another user there",
        AuthenticationError,
    ),
    _Cause(
        r"sudo: unknown user|(su|runuser): user .* does not exist|No passwd entry for user"
        r"|doas: unknown user|unable to find user|no matching entries in passwd file",
        "there is no such user; check the user name in the command",
    ),
    _Cause(
        r"[Nn]o such container|no container with name or ID|pods? \S+ not found|container not found"
        r"|container \S+ is not valid for pod|There is no distribution with the supplied name",
        "there is no such container; check its name and whether it runs",
    ),
    _Cause(
        r"[Cc]ontainer \S+ is not running|can only create exec sessions on running containers"
        r"|cannot exec (in|into) a (stopped|container that is not running)",
        "the container does not run; start it first",
    ),
    _Cause(
        r"input device is not a TTY|cannot attach stdin to a TTY|Unable to use a TTY",
        "the command is to give a terminal, which changes bytes; remove -t (write -i instead of -it)",
    ),
    _Cause(
        r"Cannot connect to the Docker daemon|permission denied while trying to connect to the Docker"
        r"|The connection to the server \S+ was refused|Cannot connect to Podman",
        "{program} cannot reach its daemon or cluster from there; try the command by hand",
    ),
    _Cause(
        r"OCI runtime .*not found|executable file .*not found in \$PATH",
        "there is no such program in the container; EasyCluster needs sh and Python 3.6 or newer in it",
    ),
)

_CLOSED = _Cause(
    "Connection (closed|reset)|kex_exchange_identification|banner exchange|Broken pipe|closed by remote host",
    "it closed the connection; its SSH server may be busy, or refuse this user or address",
)

#: The words of ssh itself. They count only if ssh failed: the host's shell prints similar words for other
#: causes.
_CAUSES_OF_SSH = (
    _Cause(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that ssh knows; if you know why it changed, remove the old one by:"
        " ssh-keygen -R {known_name}",
    ),
    _Cause(
        "Host key verification failed",
        "ssh does not know its host key; connect once by hand to accept it: {by_hand}",
    ),
    _Cause(
        r"Permission denied( \(|, please)|Too many authentication failures|No more authentication methods",
        "it refuses the login; check the user name, and that the key is in the agent or the password right:"
        " {by_hand}",
        AuthenticationError,
    ),
    _Cause(
        "Could not resolve hostname",
        "there is no host of that name; check the spelling, or give it a HostName in ~/.ssh/config",
    ),
    _Cause(
        "Connection refused",
        "no SSH server listens there; check the port (user@host:PORT), or for EasyCluster's own server leave"
        " out the user and give its key",
    ),
    _Cause("No route to host|Network is unreachable|Host is down", "it cannot be reached by the network"),
    _Cause("timed out|Timeout, server .* not responding", "it does not answer; is it switched on?"),
    _Cause(
        "Unable to negotiate|no matching",
        "it and ssh have no method in common; ~/.ssh/config can allow older ones",
    ),
    _Cause(
        "Bad configuration option|unknown option|illegal option|usage: ssh|command-line"
        "|Bad (port|stdio|local|dynamic|remote)|keyword .* extra arguments",
        "{program} does not understand its arguments; check extra= and ~/.ssh/config",
    ),
    _CLOSED,
)

#: The exit status with which ssh itself fails; any other is that of the command on the host.
_FAILURE_OF_SSH = 255

#: The greatest number of lines that an error quotes.
_QUOTED_LINES = 15


class SshFailure(NamedTuple):
    """Everything that is known about an ssh that failed to start the server.

    Attributes:
        peername: the server's name, for messages.
        program: the name of the program that was called as ssh.
        by_hand: the command by which a user would try the same connection.
        known_name: the name of the host in the file of known hosts.
        rpython: the Python that the user asked for, or None.
        printed: the standard error of ssh and of the remote side.
        answered: the standard output of the remote side.
        status: the exit status of ssh; None: it had not ended.
        reason: a reason that this process knows, or an empty text.
        has_terminal: whether our own bytes came back, as a terminal gives them back.
    """

    peername: str
    program: str
    by_hand: str
    known_name: str
    rpython: str | None
    printed: str
    answered: str
    status: int | None
    reason: str
    has_terminal: bool = False


#: The words of ssh when the server, or a jump host, has dropped the connection before any login. sshd does
#: that when too many connections have not logged in yet (MaxStartups).
_DROPPED_BEFORE_LOGIN = "(kex|ssh)_exchange_identification|banner exchange"


def is_dropped_before_login(error: ConnectError) -> bool:
    """Return whether the SSH server has dropped this connection before any login; it may take another."""
    return re.search(_DROPPED_BEFORE_LOGIN, str(error)) is not None


def explain_failure(failure: SshFailure) -> ConnectError:
    """Return the error for an ssh that failed to start the server."""
    cls, text = _find_cause(failure)
    reasons = "; ".join(part for part in (failure.reason, text) if part)
    reasons = reasons or _describe_status(failure.program, failure.status)
    message = f"{begin_message(failure.peername, failure.program)}: {reasons}"
    answered = "" if failure.has_terminal else failure.answered  # our own bytes
    for label, output in ((f"{failure.program} printed", failure.printed), ("the host answered", answered)):
        quoted = _quote(output)
        if quoted:
            message += f"\n{label}:\n{quoted}"
    return cls(message)


def begin_message(peername: str, program: str) -> str:
    """Return the beginning of each message about a connection by ssh, or by a program in its place."""
    return f"cannot connect to {peername} by {'SSH' if program == 'ssh' else program}"


def _find_cause(failure: SshFailure) -> tuple[type[ConnectError], str]:
    """Return the class of the error, and its text; the text is empty if the cause is unknown."""
    ssh_failed = failure.status is None or failure.status < 0 or failure.status == _FAILURE_OF_SSH
    # A terminal mixes both outputs.
    on_host = _find(_CAUSES_ON_HOST, failure.printed) or _find(_CAUSES_ON_HOST, failure.answered)
    if failure.has_terminal:
        on_host = _TERMINAL
    cause = on_host or _find(_CAUSES_OF_COMMANDS, failure.printed)
    # Where the script itself waits for all children, the status of ssh is lost, and looks like 0.
    if cause is None and (ssh_failed or failure.status == 0):
        cause = _find(_CAUSES_OF_SSH, failure.printed)
    if cause in (None, _NO_PYTHON) and _is_rpython_wrong(failure, ssh_failed, cause):
        ended = f"it ended with status {failure.status}"
        return ConnectError, f"the command {failure.rpython!r} (rpython) does not run Python there; {ended}"
    if cause is None:
        return ConnectError, ""
    # ssh prints the name under which it knows the host key; ours is only a good guess.
    changed = re.search(r"ost key for ([!-~]+) has changed", failure.printed)
    known_name = changed[1] if changed else failure.known_name
    text = cause.text.format(by_hand=failure.by_hand, known_name=known_name, program=failure.program)
    if cause is _CLOSED and failure.peername.rpartition(":")[2] != "22":
        text += (
            f"; if EasyCluster's own server listens on that port ({DEFAULT_PORT} by default), leave out the"
            " user and give its key (host:PORT:kf=FILE)"
        )
    return cause.cls, text


def _find(causes: tuple[_Cause, ...], printed: str) -> _Cause | None:
    return next((each for each in causes if re.search(each.words, printed)), None)


def _is_rpython_wrong(failure: SshFailure, ssh_failed: bool, cause: _Cause | None) -> bool:
    """Return whether the Python that the user named is the cause.

    The status of ssh is that of the host's shell. Another program may have failed by itself: then it has said
    something, and its status is hardly that of a shell that finds no command.
    """
    if failure.rpython is None or ssh_failed:
        return False
    has_own_failure = (
        failure.program != "ssh" and failure.printed.strip() and failure.status not in (126, 127)
    )
    return cause is _NO_PYTHON or not has_own_failure


def _describe_status(program: str, status: int | None) -> str:
    if status is None:
        return "the connection ended"
    if status < 0:
        return f"{program} was ended by signal {-status}"
    return f"{program} ended with status {status} before our code ran there"


def _quote(output: str) -> str:
    """Return the last lines of an output, indented, without characters that could control the terminal."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", output)]
    shown = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines if line]
    return "\n".join(f"    {line}" for line in shown[-_QUOTED_LINES:])
