"""Every login shell that a user may have, with its start-up files, behind a real sshd."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import pytest

from easycluster import ConnectError, define_common
from helpers.exercises import DEFINITIONS, assert_answers, assert_works
from helpers.logins import Host, make_host, serve_logins

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)
host = pytest.fixture(make_host)


class Shell(NamedTuple):
    """A login shell.

    Attributes:
        startup: the file that it reads before the command of ssh, or nothing.
        exports: the line there by which it sets a variable.
        options: lines there that change how it reads what follows, or let it print that.
    """

    startup: str
    exports: str
    options: str


SHELLS = {
    "sh": Shell("", "", ""),
    "dash": Shell("", "", ""),
    "bash": Shell(".bashrc", "export STARTED=yes", "set -euxv -o posix; shopt -s extglob nullglob failglob"),
    "csh": Shell(".cshrc", "setenv STARTED yes", "set echo verbose noclobber noglob backslash_quote"),
    "tcsh": Shell(".tcshrc", "setenv STARTED yes", "set echo verbose histlit implicitcd autologout=1"),
    "zsh": Shell(
        ".zshenv",
        "export STARTED=yes",
        "setopt xtrace verbose errexit nounset rcquotes cshjunkiequotes extendedglob kshglob globsubst"
        " shwordsplit ignorebraces interactivecomments",
    ),
    "fish": Shell(".config/fish/config.fish", "set -gx STARTED yes", "set -g fish_trace 1"),
}

needs_shells = pytest.mark.needs_shells
every_shell = pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            name, marks=() if name in ("sh", "bash") else needs_shells(*{name, "tcsh", "zsh", "fish"})
        )
        for name in SHELLS
    ],
)


def log_in_by(host: Host, shell: str, startup: str) -> None:
    """Give the host this login shell, and its start-up file these lines."""
    path = shutil.which(shell)
    assert path is not None
    host.shell = [path, "-c"]
    if SHELLS[shell].startup:
        host.write(SHELLS[shell].startup, f"{SHELLS[shell].exports}\n{startup}\n")


@every_shell
@pytest.mark.parametrize("given", [None, "env python3"], ids=["search", "words"])
def test_works_under_every_login_shell(host: Host, shell: str, given: str | None) -> None:
    """Whatever the login shell of the host, a Python is found, and one is started by a given command."""
    define_common(DEFINITIONS)
    host.use_this_python()
    log_in_by(host, shell, "")
    with host.connect(rpython=given) as client:
        started = client.call("os.environ.get", "STARTED")
        shell_there = client.call("os.environ.get", "SHELL")
        assert_works(client)

    assert shell_there == shutil.which(shell)
    assert started == ("yes" if SHELLS[shell].startup else None), "it has read its start-up file"


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(name, marks=() if name == "bash" else needs_shells)
        for name in SHELLS
        if SHELLS[name].options
    ],
)
def test_options_of_the_shell_do_no_harm(host: Host, shell: str) -> None:
    """Options in start-up files, by which the shell reads differently or shows what it does, are no obstacle."""
    define_common(DEFINITIONS)
    host.use_this_python()
    log_in_by(host, shell, SHELLS[shell].options)
    with host.connect() as client:
        assert client.call("os.environ.get", "STARTED") == "yes"
        assert_answers(client)


@every_shell
def test_missing_python_is_named_by_every_login_shell(host: Host, shell: str) -> None:
    """A host without Python is told from one that cannot be reached, whatever its shell says itself."""
    log_in_by(host, shell, "")
    with pytest.raises(ConnectError) as caught:
        host.connect(rpython="/no/such/python")

    assert "EasyCluster found no Python on the host; it looked for: /no/such/python" in str(caught.value)


def test_bash_reads_no_startup_file_of_a_login_shell(host: Host) -> None:
    """`.profile` is for login shells: the command of ssh does not run in one, and the tests imitate that."""
    log_in_by(host, "bash", "")
    host.write(".profile", "export PROFILE=yes")
    with host.connect() as client:
        assert client.call("os.environ.get", "PROFILE") is None
        assert client.call("os.environ.get", "STARTED") == "yes"
