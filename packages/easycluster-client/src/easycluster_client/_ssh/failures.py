"""Failures of ssh: the words that ssh printed and its exit status become one error with advice.

The known words are those of OpenSSH 7 to 10, which does not translate them. Others are only quoted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from easycluster_protocol.errors import AuthenticationError, ConnectError, VersionError


class _Cause(NamedTuple):
    """A known cause of a failure.

    Attributes:
        words: a regular expression for the words that are printed.
        text: their meaning and some advice; ``{by_hand}`` and ``{known_name}`` are filled in.
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

#: The words of our own code on the host. The first cause that fits is taken.
_CAUSES_ON_HOST = (
    _Cause(
        "EasyCluster needs Python",
        "its Python is too old; name a newer one with rpython=COMMAND",
        VersionError,
    ),
    _NO_PYTHON,
    _Cause("EasyCluster could not start", "Python ran there, but our code did not start"),
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
        "ssh does not understand its arguments; check extra= and ~/.ssh/config",
    ),
    _Cause(
        "Connection (closed|reset)|kex_exchange_identification|Broken pipe|closed by remote host",
        "it closed the connection; its SSH server may be busy, or refuse this user or address",
    ),
)

#: The exit status with which ssh itself fails; any other is that of the command on the host.
_FAILURE_OF_SSH = 255

#: The greatest number of lines that an error quotes.
_QUOTED_LINES = 15


class SshFailure(NamedTuple):
    """Everything that is known about an ssh that failed to start the server.

    Attributes:
        peername: the server's name, for messages.
        by_hand: the command by which a user would try the same connection.
        known_name: the name of the host in the file of known hosts.
        rpython: the Python that the user asked for, or None.
        printed: the standard error of ssh and of the remote side.
        answered: the standard output of the remote side.
        status: the exit status of ssh; None: it had not ended.
        reason: a reason that this process knows, or an empty text.
    """

    peername: str
    by_hand: str
    known_name: str
    rpython: str | None
    printed: str
    answered: str
    status: int | None
    reason: str


def explain_failure(failure: SshFailure) -> ConnectError:
    """Return the error for an ssh that failed to start the server."""
    cls, text = _find_cause(failure)
    reasons = "; ".join(part for part in (failure.reason, text) if part)
    message = f"cannot connect to {failure.peername} by SSH: {reasons or _describe_status(failure.status)}"
    for label, output in (("ssh printed", failure.printed), ("the host answered", failure.answered)):
        quoted = _quote(output)
        if quoted:
            message += f"\n{label}:\n{quoted}"
    return cls(message)


def _find_cause(failure: SshFailure) -> tuple[type[ConnectError], str]:
    """Return the class of the error, and its text; the text is empty if the cause is unknown."""
    ssh_failed = failure.status is None or failure.status < 0 or failure.status == _FAILURE_OF_SSH
    causes = _CAUSES_ON_HOST + (_CAUSES_OF_SSH if ssh_failed else ())
    cause = next((each for each in causes if re.search(each.words, failure.printed)), None)
    if failure.rpython is not None and not ssh_failed and cause in (None, _NO_PYTHON):
        ended = f"it ended with status {failure.status}"
        return ConnectError, f"the command {failure.rpython!r} (rpython) does not run Python there; {ended}"
    if cause is None:
        return ConnectError, ""
    # ssh prints the name under which it knows the host key; ours is only a good guess.
    changed = re.search(r"ost key for ([!-~]+) has changed", failure.printed)
    known_name = changed[1] if changed else failure.known_name
    return cause.cls, cause.text.format(by_hand=failure.by_hand, known_name=known_name)


def _describe_status(status: int | None) -> str:
    if status is None:
        return "the connection ended"
    if status < 0:
        return f"ssh was ended by signal {-status}"
    return f"ssh ended with status {status} before our code ran there"


def _quote(output: str) -> str:
    """Return the last lines of an output, indented, without characters that could control the terminal."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", output)]
    shown = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines if line]
    return "\n".join(f"    {line}" for line in shown[-_QUOTED_LINES:])
