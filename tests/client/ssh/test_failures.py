"""From the words of ssh to an error that says what to do."""

from __future__ import annotations

import pytest

from easycluster import AuthenticationError, ConnectError, VersionError
from easycluster_client._ssh.failures import SshFailure, explain_failure

NOTHING = SshFailure(
    peername="example:2222",
    program="ssh",
    by_hand="ssh -p 2222 me@example",
    known_name="[example]:2222",
    rpython=None,
    printed="",
    answered="",
    status=255,
    reason="",
)

BEGIN = "cannot connect to example:2222 by SSH: "

#: As OpenSSH 9.2 prints it, but for the addresses.
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
Someone could be eavesdropping on you right now (man-in-the-middle attack)!\r
It is also possible that a host key has just been changed.\r
The fingerprint for the ED25519 key sent by the remote host is\r
SHA256:Gq3q/J2PzYYOIK0SGqTGbm0WdgYVxdiBI6t6kTiqTmM.\r
Please contact your system administrator.\r
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.\r
Offending ED25519 key in /home/me/.ssh/known_hosts:7\r
Host key for [192.0.2.1]:2222 has changed and you have requested strict checking.\r
Host key verification failed.\r
"""

#: What is printed, the exit status, and what the error says then.
CAUSES = {
    "old Python": (
        "EasyCluster needs Python 3.6 or newer on the host; /usr/bin/python is Python 2.7.18\n",
        1,
        "its Python is too old; name a newer one with rpython=COMMAND",
    ),
    "no Python": (
        "EasyCluster found no Python on the host; it looked for: python3 python\n",
        127,
        "it has no Python that can be found; install Python 3.6 or newer there",
    ),
    "not started": (
        "EasyCluster could not start: stdin ended\n",
        1,
        "Python ran there, but our code did not start",
    ),
    "key changed": (CHANGED, 255, "its host key is not the one that ssh knows"),
    "key unknown": (
        (
            "No ED25519 host key is known for example and you have requested strict checking.\r\nHost key verification failed.\r\n"
        ),
        255,
        "ssh does not know its host key; connect once by hand to accept it: ssh -p 2222 me@example",
    ),
    "refused": (
        "me@example: Permission denied (publickey,password).\r\n",
        255,
        (
            "it refuses the login; check the user name, and that the key is in the agent or the password right: ssh -p 2222 me@example"
        ),
    ),
    "wrong password": (
        "Permission denied, please try again.\r\n",
        None,
        "it refuses the login",
    ),
    "too many keys": (
        (
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\r\nDisconnected from 192.0.2.1 port 22\r\n"
        ),
        255,
        "it refuses the login",
    ),
    "no name": (
        "ssh: Could not resolve hostname exmaple: Name or service not known\r\n",
        255,
        "there is no host of that name; check the spelling, or give it a HostName in ~/.ssh/config",
    ),
    "no server": (
        "ssh: connect to host example port 2222: Connection refused\r\n",
        255,
        "no SSH server listens there; check the port (user@host:PORT)",
    ),
    "no route": (
        "ssh: connect to host example port 22: No route to host\r\n",
        255,
        "it cannot be reached by the network",
    ),
    "network": (
        "ssh: connect to host example port 22: Network is unreachable\r\n",
        255,
        "it cannot be reached by the network",
    ),
    "timeout of TCP": (
        "ssh: connect to host example port 22: Connection timed out\r\n",
        255,
        "it does not answer; is it switched on?",
    ),
    "timeout of the banner": (
        "Connection timed out during banner exchange\r\nConnection to 192.0.2.1 port 22 timed out\r\n",
        255,
        "it does not answer",
    ),
    "timeout of ServerAlive": (
        "Timeout, server example not responding.\r\n",
        255,
        "it does not answer",
    ),
    "negotiation": (
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss\r\n"
        ),
        255,
        "it and ssh have no method in common; ~/.ssh/config can allow older ones",
    ),
    "option": (
        "command-line: line 0: Bad configuration option: nonsense\r\n",
        255,
        "ssh does not understand its arguments; check extra= and ~/.ssh/config",
    ),
    "config": (
        (
            "/home/me/.ssh/config: line 3: Bad configuration option: nonsense\r\n/home/me/.ssh/config: terminating, 1 bad configuration options\r\n"
        ),
        255,
        "ssh does not understand its arguments",
    ),
    "letter": (
        "unknown option -- Z\r\nusage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] [-B bind_interface]\n",
        255,
        "ssh does not understand its arguments",
    ),
    "port": ("Bad port 'x'\r\n", 255, "ssh does not understand its arguments"),
    "closed": (
        (
            "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 192.0.2.1 port 22\r\n"
        ),
        255,
        "it closed the connection; its SSH server may be busy, or refuse this user or address",
    ),
    "reset": (
        "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 192.0.2.1\r\n",
        255,
        "it closed the connection",
    ),
    "broken": (
        "client_loop: send disconnect: Broken pipe\r\n",
        255,
        "it closed the connection",
    ),
    "jump host refuses": (
        (
            "me@jump: Permission denied (publickey).\r\n"
            "kex_exchange_identification: Connection closed by remote host\r\n"
            "Connection closed by UNKNOWN port 65535\r\n"
        ),
        255,
        "it refuses the login",
    ),
}

KINDS = {
    "old Python": VersionError,
    **dict.fromkeys(("refused", "wrong password", "too many keys", "jump host refuses"), AuthenticationError),
}


@pytest.mark.parametrize("name", CAUSES)
def test_cause(name: str) -> None:
    """Each known cause is told in our words, and those of ssh follow; the class of the error fits."""
    printed, status, text = CAUSES[name]

    error = explain_failure(NOTHING._replace(printed=printed, status=status))

    first, _, quoted = str(error).partition("\nssh printed:\n")
    assert first.startswith(BEGIN + text)
    assert quoted.splitlines() == ["    " + line for line in printed.splitlines()]
    assert type(error) is KINDS.get(name, ConnectError)


def test_how_to_remove_a_changed_key() -> None:
    """The command that removes the old key has the name under which ssh keeps it."""
    by_ssh = explain_failure(NOTHING._replace(printed=CHANGED))
    guessed = explain_failure(NOTHING._replace(printed="WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"))

    assert "by: ssh-keygen -R [192.0.2.1]:2222\n" in str(by_ssh)
    assert "by: ssh-keygen -R [example]:2222\n" in str(guessed)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ssh ended with status 0 before our code ran there"),
        (1, "ssh ended with status 1 before our code ran there"),
        (255, "ssh ended with status 255 before our code ran there"),
        (-9, "ssh was ended by signal 9"),
        (None, "the connection ended"),
    ],
)
def test_nothing_was_printed(status: int | None, text: str) -> None:
    """Without any words the error says how ssh ended, and quotes nothing."""
    assert str(explain_failure(NOTHING._replace(status=status))) == BEGIN + text


@pytest.mark.parametrize("printed", ["", "EasyCluster found no Python on the host; it looked for: python4\n"])
@pytest.mark.parametrize("status", [0, 1, 2, 126, 127])
def test_wrong_rpython(status: int, printed: str) -> None:
    """When ssh did not fail itself, and a Python was named, that was wrong."""
    error = explain_failure(NOTHING._replace(status=status, rpython="python4 -X", printed=printed))

    text = f"the command 'python4 -X' (rpython) does not run Python there; it ended with status {status}"
    assert str(error).partition("\n")[0] == BEGIN + text


@pytest.mark.parametrize("status", [255, -15, None])
def test_rpython_is_not_blamed(status: int | None) -> None:
    """What ssh itself failed at has nothing to do with the Python that was named."""
    error = explain_failure(
        NOTHING._replace(status=status, rpython="python4", printed=CAUSES["no server"][0])
    )

    assert "no SSH server listens" in str(error)
    assert "python4" not in str(error)


def test_old_rpython() -> None:
    """The Python that was named, and is too old, is an error of its version."""
    printed, status, _ = CAUSES["old Python"]
    error = explain_failure(NOTHING._replace(status=status, rpython="python", printed=printed))

    assert isinstance(error, VersionError)
    assert "2.7.18" in str(error)


@pytest.mark.parametrize(
    "printed",
    [
        "bash: line 1: /opt/python: Permission denied\n",
        "fuse: Connection refused\n",
        "sh: 1: Broken pipe\n",
        "module: unknown option\n",
    ],
)
def test_words_of_the_host(printed: str) -> None:
    """What the host's shell or profile says is not taken for ssh's: ssh has connected, or its status were another."""
    error = explain_failure(NOTHING._replace(printed=printed, status=126))

    assert type(error) is ConnectError
    assert (
        str(error)
        == f"{BEGIN}ssh ended with status 126 before our code ran there\nssh printed:\n    {printed.strip()}"
    )


def test_somebody_else_has_waited_for_ssh() -> None:
    """A script that waits for all of its children takes the status away, which looks like 0; the words still count."""
    printed = CAUSES["no server"][0]
    error = explain_failure(NOTHING._replace(printed=printed, status=0))

    assert str(error) == str(explain_failure(NOTHING._replace(printed=printed)))


def test_permission_denied_by_something_else() -> None:
    """Only ssh's own refusal is an `AuthenticationError`."""
    printed = 'Load key "/home/me/.ssh/id": Permission denied\r\nssh: it was something else\r\n'

    assert type(explain_failure(NOTHING._replace(printed=printed))) is ConnectError


def test_reason() -> None:
    """What was noticed here comes first."""
    printed = CAUSES["timeout of TCP"][0]
    alone = explain_failure(NOTHING._replace(reason="no answer within 5 seconds", status=None))
    both = explain_failure(
        NOTHING._replace(reason="no answer within 5 seconds", status=None, printed=printed)
    )

    assert str(alone) == f"{BEGIN}no answer within 5 seconds"
    assert str(both).startswith(f"{BEGIN}no answer within 5 seconds; it does not answer; is it")


def test_answer_is_quoted() -> None:
    """What the login printed to standard output is quoted, too, after the words of ssh."""
    answered = "Welcome.\r\n\r\nThis account is currently not available.\n"
    error = explain_failure(NOTHING._replace(status=1, printed="a banner\n", answered=answered))

    assert str(error).splitlines()[1:] == [
        "ssh printed:",
        "    a banner",
        "the host answered:",
        "    Welcome.",
        "    This account is currently not available.",
    ]


def test_control_characters() -> None:
    """Nothing that is quoted can play with the terminal; letters of every language stay."""
    printed = "\x1b[2J\x1b]0;title\x07a\tb \x9b1m \u202e \udc80 käse 名\rsecond\x00\n\n\n"
    text = str(explain_failure(NOTHING._replace(printed=printed)))

    lines = text.splitlines()[2:]
    assert lines == [r"    \x1b[2J\x1b]0;title\x07a\tb \x9b1m \u202e \udc80 käse 名", r"    second\x00"]
    assert text.replace("\n", "").isprintable()


def test_control_characters_in_the_name_of_a_key() -> None:
    """Nor can a host choose what stands in the command that is advised."""
    printed = "REMOTE HOST IDENTIFICATION HAS CHANGED\nHost key for \x1b[2Jx has changed\n"

    assert str(explain_failure(NOTHING._replace(printed=printed))).replace("\n", "").isprintable()


def test_only_the_last_lines() -> None:
    """Of much that was printed, the end is quoted."""
    printed = "".join(f"line {number}\n" for number in range(100))

    quoted = str(explain_failure(NOTHING._replace(printed=printed))).splitlines()[2:]

    assert quoted == [f"    line {number}" for number in range(85, 100)]


def test_braces() -> None:
    """Braces in what is put into our words stay as they are."""
    error = explain_failure(NOTHING._replace(by_hand="ssh {0} {host}", printed=CAUSES["key unknown"][0]))

    assert "ssh {0} {host}" in str(error)


def test_standalone_server() -> None:
    """Where the port is not that of ssh, a server of EasyCluster may listen there: the error says how to reach it."""
    printed = "kex_exchange_identification: read: Connection reset by peer\r\n"
    unusual = explain_failure(NOTHING._replace(printed=printed, peername="example:11999"))
    usual = explain_failure(NOTHING._replace(printed=printed, peername="example:22"))

    assert "leave out the user and give its key (host:PORT:kf=FILE)\n" in str(unusual)
    assert "refuse this user or address\n" in str(usual)
