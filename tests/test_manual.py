"""The manual page and the shells' completions of the command, which scripts/make_manual makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from easycluster_server._command_line.parser import make_parser

ROOT = Path(__file__).parents[1]
SHARE = ROOT / "packages" / "easycluster-server" / "share"


def test_made_from_the_parser() -> None:
    """The files are those that `scripts/make_manual` makes; its ``--write`` brings them up to date."""
    command = [sys.executable, str(ROOT / "scripts" / "make_manual")]
    result = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)

    assert result.returncode == 0, result.stderr


def test_manual_has_all_options() -> None:
    """The manual page names each option, the exit statuses, and no date."""
    page = (SHARE / "man" / "man1" / "easycluster.1").read_text().replace("\\", "")

    options = [flag for action in make_parser()._actions for flag in action.option_strings]
    assert [flag for flag in options if flag not in page and flag not in {"-h", "--help"}] == []
    assert "EXIT STATUS" in page
    assert page.startswith('.TH EASYCLUSTER "1" "" ')


def complete_in_bash(*words: str) -> list[str]:
    """The completions that bash offers for the last of these words."""
    path = SHARE / "bash-completion" / "completions" / "easycluster"
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "$(complete -p easycluster | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "--norc", "-c", script, "bash", path, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    return sorted(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("easycluster", "--query"), ["--query-installed"]),
        (("easycluster", "-S", "-c", ""), ["QuietServer", "Server"]),
        (("easycluster", "--install", "--system", "s"), ["smf", "systemd", "sysv"]),
    ],
)
def test_bash(words: tuple[str, ...], offered: list[str]) -> None:
    """Bash completes options and the words that an option may have."""
    assert complete_in_bash(*words) == offered


@pytest.mark.needs_shells
@pytest.mark.parametrize(
    "name", ["fish/vendor_completions.d/easycluster.fish", "zsh/site-functions/_easycluster"]
)
def test_other_shells(name: str) -> None:
    """Fish and zsh can read their files."""
    shell = name.partition("/")[0]
    done = subprocess.run([shell, "-n", SHARE / name], check=False, stderr=subprocess.PIPE, text=True)

    assert (done.returncode, done.stderr) == (0, "")
