"""Why ssh failed: from what it printed, and how it ended, to one error that says what to do.

The words are those of OpenSSH 7 to 10; they are not translated. What is not recognised is quoted as it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from easycluster_protocol.errors import AuthenticationError, ConnectError, VersionError


class _Cause(NamedTuple):
    """A known cause.

    Attributes:
        words: a regular expression for what is printed then.
        text: what it means and what to do; ``{host}`` and the like are filled in.
        kind: the class of the error.
    """

    words: str
    text: str
    kind: type[ConnectError] = ConnectError


_NO_PYTHON = _Cause(
    "EasyCluster found no Python",
    "it has no Python that can be found; install Python 3.6 or newer there, or say where it is with"
    " rpython=COMMAND",
)

#: What our own code says on the host. The first that fits is taken.
_CAUSES_ON_HOST = (
    _Cause(
        "EasyCluster needs Python",
        "its Python is too old; name a newer one with rpython=COMMAND",
        VersionError,
    ),
    _NO_PYTHON,
    _Cause("EasyCluster could not start", "Python ran there, but our code did not start"),
)

#: What ssh says, when it was ssh that failed: the host's shell has words like these for other causes.
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

#: The exit status of ssh when it was ssh that failed and not what ran on the host.
_FAILURE_OF_SSH = 255

#: How many lines an error quotes.
_QUOTED_LINES = 15


class SshFailure(NamedTuple):
    """All that is known when a connection by ssh fails.

    Attributes:
        peername: the server's name, for messages.
        by_hand: the command by which a user would try the same.
        known_name: the host's name in the file of known hosts.
        rpython: the Python that was asked for.
        printed: what ssh and the remote side printed to standard error.
        answered: what the remote side printed to standard output.
        status: the exit status of ssh; None: it had not ended.
        reason: what was noticed, or nothing.
    """

    peername: str
    by_hand: str
    known_name: str
    rpython: str | None
    printed: str
    answered: str
    status: int | None
    reason: str


def explain_failure(what: SshFailure) -> ConnectError:
    """Return the error for an ssh that did not come to start our server."""
    kind, text = _find_cause(what)
    parts = [part for part in (what.reason, text) if part]
    message = f"cannot connect to {what.peername} by SSH: {'; '.join(parts) or _describe_status(what.status)}"
    for who, words in (("ssh printed", what.printed), ("the host answered", what.answered)):
        quoted = _quote(words)
        if quoted:
            message += f"\n{who}:\n{quoted}"
    return kind(message)


def _find_cause(what: SshFailure) -> tuple[type[ConnectError], str]:
    ssh_failed = what.status is None or what.status < 0 or what.status == _FAILURE_OF_SSH
    causes = _CAUSES_ON_HOST + (_CAUSES_OF_SSH if ssh_failed else ())
    cause = next((each for each in causes if re.search(each.words, what.printed)), None)
    if what.rpython is not None and not ssh_failed and cause in (None, _NO_PYTHON):
        ended = f"it ended with status {what.status}"
        return ConnectError, f"the command {what.rpython!r} (rpython) does not run Python there; {ended}"
    if cause is None:
        return ConnectError, ""
    # ssh knows better than we do under which name it keeps the key.
    changed = re.search(r"ost key for ([!-~]+) has changed", what.printed)
    known_name = changed[1] if changed else what.known_name
    return cause.kind, cause.text.format(by_hand=what.by_hand, known_name=known_name)


def _describe_status(status: int | None) -> str:
    if status is None:
        return "the connection ended"
    if status < 0:
        return f"ssh was ended by signal {-status}"
    return f"ssh ended with status {status} before our code ran there"


def _quote(words: str) -> str:
    """Return the last lines of what was printed, indented, without what could play with the terminal."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", words)]
    shown = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines if line]
    return "\n".join(f"    {line}" for line in shown[-_QUOTED_LINES:])
