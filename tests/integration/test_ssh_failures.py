"""Connections by SSH that cannot be made: one error with ssh's own words, in time, and nothing is left.

That nothing is left is what the fixture ``no_leaks`` finds out after each test.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easycluster import AuthenticationError, Client, ConnectError, VersionError
from easycluster_client._process import children
from easycluster_server._system.posix.proc import find_descendants, read_processes
from helpers.sshd import Sshd, free_port
from helpers.stand_ins import listener, make_stand_ins, name_of, say_nothing

stand_in = pytest.fixture(make_stand_ins)

PYTHON_2 = Path("~/.pyenv/versions/2.7.18/bin/python").expanduser()

#: The remote command, in a program that stands for ssh.
REMOTE = 'for command; do :; done; "$command"'


def failure(**options: Any) -> ConnectError:
    """The error with which connecting by SSH fails."""
    with pytest.raises(ConnectError) as caught:
        Client(None, **{"host": "h", "ssh": True, **options})
    return caught.value


def assert_says(error: ConnectError, *says: str, name: str = "h:22", way: str = "SSH") -> None:
    """Check what an error says, the first in its first line, and that it plays no tricks with a terminal."""
    text = str(error)
    first, *rest = says
    assert text.startswith(f"cannot connect to {name} by {way}: ")
    assert first in text.partition("\n")[0]
    for said in rest:
        assert said in text
    assert "Traceback" not in text
    assert text.replace("\n", "").isprintable()


# Behind a real sshd.

#: What is wrong, as arguments of Client and further arguments of ssh, and what the error says.
WRONG: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "unknown host": (
        {},
        ["-o", "HostName=no..such..host"],
        ["there is no host of that name", "Could not resolve hostname no..such..host"],
    ),
    "login refused": (
        {},
        ["-o", "PubkeyAuthentication=no"],
        ["it refuses the login", "Permission denied (publickey)."],
    ),
    "user unknown": (
        {"user": "nobody-of-that-name"},
        [],
        ["it refuses the login", "nobody-of-that-name@", "Permission denied (publickey)."],
    ),
    "host key changed": (
        {},
        ["-o", "UserKnownHostsFile={folder}/changed"],
        ["remove the old one by: ssh-keygen -R easycluster-test", "IDENTIFICATION HAS CHANGED!"],
    ),
    "host key unknown": (
        {},
        ["-o", "UserKnownHostsFile=/dev/null"],
        ["ssh does not know its host key; connect once by hand", "Host key verification failed."],
    ),
    "no such option": (
        {},
        ["-o", "Nonsense=1"],
        ["ssh does not understand its arguments", "Bad configuration option: nonsense"],
    ),
    "no such letter": ({}, ["-Z"], ["ssh does not understand its arguments", "unknown option -- Z"]),
    "no such file": (
        {},
        ["-F", "/no/such/config"],
        ["ssh ended with status 255", "Can't open user config file /no/such/config"],
    ),
    "no common method": (
        {},
        ["-o", "HostKeyAlgorithms=ssh-rsa"],
        ["it and ssh have no method in common", "no matching host key type found"],
    ),
    "rpython is not there": (
        {"rpython": "/no/such/python"},
        [],
        [
            "the command '/no/such/python' (rpython) does not run Python there",
            "it looked for: /no/such/python",
        ],
    ),
    "rpython is no command": (
        {"rpython": "no-such-python -u"},
        [],
        ["'no-such-python -u' (rpython) does not run Python there; it ended with status 127", "not found"],
    ),
    "rpython is no program": (
        {"rpython": "/etc/passwd -u"},
        [],
        ["'/etc/passwd -u' (rpython) does not run Python there", "Permission denied"],
    ),
    "rpython is something else": ({"rpython": "cat"}, [], ["(rpython) does not run Python there", "cat: "]),
    "rpython does nothing": (
        {"rpython": "true"},
        [],
        ["'true' (rpython) does not run Python there; it ended with status 0"],
    ),
    "the host says nothing": (
        {"rpython": "cat >/dev/null #", "connect_timeout": 1.5},
        [],
        ["no answer within 1.5 seconds"],
    ),
    "the host says it all back": (
        {"rpython": "cat #", "connect_timeout": 1.5},
        [],
        ["no answer within 1.5 seconds", "the host answered:"],
    ),
}


@pytest.mark.needs_sshd
@pytest.mark.parametrize("name", WRONG)
def test_wrong(sshd: Sshd, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    """Whatever is wrong, the error names it and quotes ssh; nothing is printed beside."""
    options, extra, says = WRONG[name]
    other_key = (sshd.folder / "id.pub").read_text().split()
    (tmp_path / "changed").write_text(f"easycluster-test {other_key[0]} {other_key[1]}\n")
    extra = [each.format(folder=tmp_path) for each in extra]

    # ssh takes the first of two values, and the last of two files.
    error = failure(
        extra_args=[*sshd.options, "-o", "LogLevel=INFO", *extra], **{"rpython": sys.executable, **options}
    )

    assert_says(error, *says)
    refused = name in ("login refused", "user unknown")
    assert type(error) is (AuthenticationError if refused else ConnectError)
    assert capfd.readouterr() == ("", "")


@pytest.mark.needs_sshd
def test_refused_port(sshd: Sshd) -> None:
    """Where no sshd listens, the error says what to check."""
    port = free_port()

    error = failure(port=port, extra_args=sshd.options)

    assert_says(error, "no SSH server listens there; check the port", "Connection refused", name=f"h:{port}")


@pytest.mark.needs_sshd
@pytest.mark.skipif(not PYTHON_2.exists(), reason="there is no Python 2.7 here")
def test_real_python_2(sshd: Sshd) -> None:
    """A Python 2.7 is named, with its path."""
    error = failure(extra_args=sshd.options, rpython=str(PYTHON_2))

    assert_says(error, "its Python is too old; name a newer one with rpython=COMMAND")
    assert_says(
        error, "too old", f"EasyCluster needs Python 3.6 or newer on the host; {PYTHON_2} is Python 2.7.18"
    )
    assert isinstance(error, VersionError)


def leave(connection: socket.socket) -> None:
    """Close the connection at once."""


@pytest.mark.needs_sshd
def test_silent_sshd(sshd: Sshd) -> None:
    """A host that accepts and says nothing is given up when the time is over."""
    with listener(say_nothing) as port:
        error = failure(port=port, extra_args=sshd.options, connect_timeout=0.5)

    assert_says(error, "no answer within 0.5 seconds", name=f"h:{port}")


@pytest.mark.needs_sshd
def test_silent_jump_host(sshd: Sshd) -> None:
    """With ssh also the one that it has started for its jump host ends."""
    with listener(say_nothing) as port:
        extra = [*sshd.options, "-J", f"127.0.0.1:{port}"]
        error = failure(extra_args=extra, connect_timeout=0.5)

    assert_says(error, "no answer within 0.5 seconds")


@pytest.mark.needs_sshd
def test_closing_sshd(sshd: Sshd) -> None:
    """A host that accepts and leaves, as one that is too busy does, has closed the connection."""
    with listener(leave) as port:
        error = failure(port=port, extra_args=sshd.options)

    assert_says(error, "it closed the connection; its SSH server may be busy", name=f"h:{port}")


@pytest.mark.needs_sshd
def test_ssh_is_killed(sshd: Sshd) -> None:
    """When somebody kills ssh, the error says so at once."""

    def kill(connection: socket.socket) -> None:
        ours = find_descendants(os.getpid(), read_processes())
        (pid,) = (each.pid for each in ours if name_of(each) == "ssh")
        os.kill(pid, signal.SIGKILL)
        say_nothing(connection)

    with listener(kill) as port:
        error = failure(port=port, extra_args=sshd.options)

    assert str(error) == f"cannot connect to h:{port} by SSH: ssh was ended by signal 9"


# Programs that stand for ssh.


STAND_INS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "nologin": (
        "echo This account is currently not available.; exit 1",
        {},
        [
            "stand-in ended with status 1 before our code ran there",
            "the host answered:\n    This account is currently not available.",
        ],
    ),
    "no Python": (
        (
            'command=$(printf %s "$command" | sed s,/usr/libexec,/nowhere,)\n'
            'mkdir {folder}/bin; ln -s /bin/sh {folder}/bin/sh; PATH={folder}/bin exec sh -c "$command"'
        ),
        {},
        ["it has no Python that can be found; install Python 3.6 or newer there", "it looked for: python3"],
    ),
    "prints without end": ("exec yes spam", {}, ["the login prints without end (16 MiB so far)", "    spam"]),
    "complains without end": (
        "exec yes spam >&2",
        {"connect_timeout": 0.2},
        ["no answer within 0.2 seconds", "stand-in printed:\n    "],
    ),
    "says nothing": ("exec sleep 1000", {"connect_timeout": 0.5}, ["no answer within 0.5 seconds"]),
    "its child says nothing": ("sleep 1000; :", {"connect_timeout": 0.5}, ["no answer within 0.5 seconds"]),
    "does not want to end": (
        "trap '' TERM; while :; do read line </dev/null; done",
        {"connect_timeout": 0.5},
        ["no answer within 0.5 seconds"],
    ),
    "closes its input": (
        "exec <&-; exec sleep 1000",
        {"connect_timeout": 0.5},
        ["no answer within 0.5 seconds"],
    ),
    "ends at once": ("exit 0", {}, ["stand-in ended with status 0 before our code ran there"]),
    "is killed": ("kill -9 $$", {}, ["stand-in was ended by signal 9"]),
    "leaves a child": (
        "echo no >&2; (sleep 0.5; echo later >&2) & exit 255",
        {},
        ["stand-in ended with status 255 before our code ran there", "stand-in printed:\n    no\n    later"],
    ),
    "control characters": (
        "printf '\\033[2J\\033]0;title\\007'; printf '\\033[31mred' >&2; exit 3",
        {},
        ["stand-in ended with status 3", "\\x1b[2J\\x1b]0;title\\x07", "\\x1b[31mred"],
    ),
    "refuses our code": (
        "exec {python} -c 'import sys; sys.exit(\"EasyCluster could not start: on purpose\")'",
        {},
        ["Python ran there, but our code did not start", "on purpose"],
    ),
    "old Python": (
        (
            "exec {python} -c 'import sys; sys.version_info = (2, 7, 18, \"final\", 0); exec(sys.argv[1])' "
            '"$(eval "set -- $command"; printf %s "$4")"'
        ),
        {"rpython": "env python"},
        ["its Python is too old", "EasyCluster needs Python 3.6 or newer on the host", "is Python 2.7.18"],
    ),
}


@pytest.mark.parametrize("name", STAND_INS)
def test_stand_in(
    stand_in: Callable[[str], str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Whatever the program does that is called as ssh, the error says it, and in the end it is gone."""
    monkeypatch.setattr(children, "GRACE", 0.5)
    script, options, says = STAND_INS[name]
    for placeholder, value in (("{folder}", str(tmp_path)), ("{python}", shlex.quote(sys.executable))):
        script = script.replace(placeholder, value)

    error = failure(ssh=stand_in(script), **options)

    assert_says(error, *says, way="stand-in")
    assert "ssh" not in str(error).lower()
    assert type(error) is (VersionError if name == "old Python" else ConnectError)
    if name != "complains without end":
        assert capfd.readouterr() == ("", "")


def test_no_ssh() -> None:
    """Without ssh on the master's side the error says what to do."""
    error = failure(ssh="/no/such/ssh")

    assert_says(
        error, "there is no program '/no/such/ssh' (install OpenSSH's client, or name another program with"
    )
