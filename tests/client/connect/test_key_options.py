from __future__ import annotations

import argparse
import logging
import optparse
import warnings
from pathlib import Path
from typing import Any

import pytest

from easycluster_client._connect.key_options import add_key_options, key_from_options
from easycluster_protocol.errors import KeyFileError, SpecError
from easycluster_protocol.keys import KeyFileWarning, decode_key, write_key_file

KEY = bytes(range(32))


class Argparse:
    """Options given to argparse, in a parser or in a group of one."""

    def __init__(self, grouped: bool) -> None:
        self._parser = argparse.ArgumentParser()
        self.options = self._parser.add_argument_group("keys") if grouped else self._parser

    def parse(self, *line: str) -> object:
        return self._parser.parse_args(line)

    def help(self) -> str:
        return self._parser.format_help()


class Optparse:
    """Options given to optparse, in a parser or in a group of one."""

    def __init__(self, grouped: bool) -> None:
        self._parser = optparse.OptionParser()
        self.options = optparse.OptionGroup(self._parser, "keys") if grouped else self._parser
        if isinstance(self.options, optparse.OptionGroup):
            self._parser.add_option_group(self.options)

    def parse(self, *line: str) -> object:
        return self._parser.parse_args(list(line))[0]

    def help(self) -> str:
        return self._parser.format_help()


@pytest.fixture(params=["argparse", "argparse group", "optparse", "optparse group"])
def command(request: pytest.FixtureRequest) -> Argparse | Optparse:
    """A command line without options yet, one for each kind of parser."""
    library, _, group = request.param.partition(" ")
    return Argparse(bool(group)) if library == "argparse" else Optparse(bool(group))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file that holds `KEY`."""
    path = tmp_path / "common.key"
    write_key_file(path, KEY)
    return path


@pytest.mark.parametrize("line", [["-K", KEY.hex()], ["--key", KEY.hex()], ["--key=" + KEY.hex()]])
def test_a_key(command: Argparse | Optparse, line: list[str]) -> None:
    """-K and --key give the key itself."""
    add_key_options(command.options)

    assert key_from_options(command.parse(*line)) == KEY


@pytest.mark.parametrize("option", ["-k", "--keyfile"])
def test_a_key_file(command: Argparse | Optparse, key_file: Path, option: str) -> None:
    """-k and --keyfile give a file that holds the key."""
    add_key_options(command.options)

    assert key_from_options(command.parse(option, str(key_file))) == KEY


def test_any_text_is_a_key(command: Argparse | Optparse) -> None:
    """A password is stretched to a key."""
    add_key_options(command.options)

    assert key_from_options(command.parse("-K", "s3cret")) == decode_key("s3cret")


def test_no_key(command: Argparse | Optparse) -> None:
    """Without either option there is no key, which SSH does not need."""
    add_key_options(command.options)

    assert key_from_options(command.parse()) == b""


def test_a_blank_key(command: Argparse | Optparse) -> None:
    """A blank key is none; whoever needs a key refuses it."""
    add_key_options(command.options)

    assert key_from_options(command.parse("-K", "")) == b""


def test_a_blank_file_name(command: Argparse | Optparse) -> None:
    """``-k "$UNSET"`` is a mistake rather than no key."""
    add_key_options(command.options)

    with pytest.raises(KeyFileError, match="blank"):
        key_from_options(command.parse("-k", ""))


def test_both(command: Argparse | Optparse, key_file: Path) -> None:
    """Two sources of the key are an error, which names the options and not the key."""
    add_key_options(command.options)

    with pytest.raises(SpecError, match=r"-K.*-k") as caught:
        key_from_options(command.parse("-K", "s3cret", "-k", str(key_file)))

    assert "s3cret" not in str(caught.value)


def test_a_file_that_cannot_be_used(command: Argparse | Optparse, tmp_path: Path) -> None:
    """A missing file is the error of `open`, a blank one is an error of ours; both name it."""
    add_key_options(command.options)
    (tmp_path / "blank.key").touch(0o600)

    with pytest.raises(FileNotFoundError, match=r"none\.key"):
        key_from_options(command.parse("-k", str(tmp_path / "none.key")))
    with pytest.raises(KeyFileError, match=r"blank\.key"):
        key_from_options(command.parse("-k", str(tmp_path / "blank.key")))


def test_other_short_names(command: Argparse | Optparse, key_file: Path) -> None:
    """A script may name the short options; the long ones stay."""
    add_key_options(command.options, key_option="-x", keyfile_option="-y")

    assert key_from_options(command.parse("-x", KEY.hex())) == KEY
    assert key_from_options(command.parse("-y", str(key_file))) == KEY
    assert key_from_options(command.parse("--keyfile", str(key_file))) == KEY


def test_no_short_names(command: Argparse | Optparse, key_file: Path) -> None:
    """With a blank short name there is only the long one."""
    add_key_options(command.options, key_option="", keyfile_option="")

    assert "-K" not in command.help()
    assert key_from_options(command.parse("--key", KEY.hex())) == KEY
    assert key_from_options(command.parse("--keyfile", str(key_file))) == KEY


def test_without_the_key_option(command: Argparse | Optparse, key_file: Path) -> None:
    """None leaves an option out, and `key_from_options` does without it."""
    add_key_options(command.options, key_option=None)

    assert "--key " not in command.help()
    assert key_from_options(command.parse()) == b""
    assert key_from_options(command.parse("-k", str(key_file))) == KEY


def test_without_the_key_file_option(command: Argparse | Optparse) -> None:
    """The same for the other one."""
    add_key_options(command.options, keyfile_option=None)

    assert "--keyfile" not in command.help()
    assert key_from_options(command.parse()) == b""
    assert key_from_options(command.parse("-K", KEY.hex())) == KEY


def test_the_help(command: Argparse | Optparse) -> None:
    """The help names both options and what they take, and warns of the one that others can see."""
    add_key_options(command.options)

    words = command.help().split()
    for word in ("-K", "--key", "-k", "--keyfile"):
        assert any(word in shown.replace(",", "=").split("=") for shown in words)
    assert "Other users of this machine can see it" in " ".join(words)


def test_what_is_no_parser() -> None:
    """Anything else is refused by its type."""
    not_a_parser: Any = ["-K"]

    with pytest.raises(TypeError, match="list"):
        add_key_options(not_a_parser)


# Warnings.


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings logged by the logger that scripts know."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "easycluster.spec" and record.levelno == logging.WARNING
    ]


def test_a_key_on_the_command_line_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A key on the command line is logged as seen by others, without the key."""
    key_from_options(argparse.Namespace(key="s3cret", keyfile=None))

    (warning,) = warnings_in(caplog)
    assert "the command line" in warning
    assert "s3cret" not in caplog.text


def test_a_key_file_that_others_can_read_is_warned_of(key_file: Path) -> None:
    """A key file open to others is used; Python prints the command that mends it, once, at the script's line."""
    key_file.chmod(0o644)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        for _ in range(3):
            assert key_from_options(argparse.Namespace(key=None, keyfile=str(key_file))) == KEY

    (warning,) = given
    assert warning.category is KeyFileWarning
    assert f"chmod 600 {key_file}" in str(warning.message)
    assert warning.filename == __file__


def test_a_private_key_file_is_fine(caplog: pytest.LogCaptureFixture, key_file: Path) -> None:
    """A private key file is read without a word."""
    key_from_options(argparse.Namespace(keyfile=str(key_file)))

    assert caplog.records == []


def test_no_warnings(caplog: pytest.LogCaptureFixture, key_file: Path) -> None:
    """With warn=False nothing is logged or printed."""
    key_file.chmod(0o644)
    key_from_options(argparse.Namespace(keyfile=str(key_file)), warn=False)
    key_from_options(argparse.Namespace(key="s3cret"), warn=False)

    assert caplog.records == []


def test_silent_unless_logging_is_configured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing reaches the terminal of a script that never configured logging."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])

    key_from_options(argparse.Namespace(key="s3cret"))

    assert capsys.readouterr() == ("", "")
