"""The command without a verb, or with too many: exit statuses and messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_protocol._constants import DEFAULT_PORT, VERSION
from easycluster_server._command_line import main


def test_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a task the help is printed to standard error, as for a wrong command line."""
    assert main([]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert "usage: easycluster" in found.err
    assert f"port {DEFAULT_PORT}" in found.err


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ("--version", 0, f"easycluster {VERSION}"),
        ("--help", 0, "examples:"),
        ("--no-such-option", 2, "usage:"),
    ],
)
def test_options_that_end_the_command(
    words: str, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Version, help and unknown options end the command by themselves."""
    with pytest.raises(SystemExit) as left:
        main([words])
    found = capsys.readouterr()

    assert left.value.code == status
    assert text in found.out + found.err


def test_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments those of the process are taken."""
    path = tmp_path / "new.key"
    monkeypatch.setattr("sys.argv", ["easycluster", "-g", str(path)])

    assert main() == 0
    assert path.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-k", "secret.key"], "add -S to serve"),
        (["-p", "5", "-v"], "add -S to serve"),
        (["-O"], "add -g FILE"),
        (["-S", "-k", "secret.key", "-g", "new.key"], "make the key first, then serve with -k FILE"),
    ],
)
def test_options_without_a_purpose(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Options without the one that says what to do, or with both of these, are answered by what to write."""
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert said in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
