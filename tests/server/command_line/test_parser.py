"""The parser: which verb is meant, and that options and settings come from their tables."""

from __future__ import annotations

import pytest

from easycluster_server._command_line.errors import UsageError
from easycluster_server._command_line.parser import VERBS, find_verb, make_parser, read_settings
from easycluster_server._standalone.config.table import OPTIONS


def test_help() -> None:
    """The help has each verb and each setting, and the exit statuses."""
    text = make_parser().format_help()

    assert all(
        flag in text for flags in (row.flags for rows in (VERBS, OPTIONS) for row in rows) for flag in flags
    )
    assert "exit status: 0 done, 1 failed, 2 " in text
    assert "(default: Server)" in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("words", "verb"), [("-S", "serve"), ("--serve -p 5", "serve"), ("-g x.key -O", "generate"), ("", "")]
)
def test_verbs(words: str, verb: str) -> None:
    """The verb is found among the options; without any option there is none."""
    parser = make_parser()

    assert find_verb(parser, parser.parse_args(words.split())) == verb


def test_two_verbs() -> None:
    """Two verbs are an error that names both."""
    parser = make_parser()

    with pytest.raises(UsageError, match="^-g and -S exclude each other: make the key first"):
        find_verb(parser, parser.parse_args(["-S", "-g", "x.key"]))


def test_settings() -> None:
    """Options become settings; those that are not given are not there."""
    words = "-S -p 12000 -a ::1 -a 192.0.2.0/24 -vv -N"

    assert read_settings(make_parser().parse_args(words.split())).given == {
        "port": 12000,
        "allow": ["::1", "192.0.2.0/24"],
        "verbose": 2,
        "no_ipv6": True,
    }


def test_bad_value() -> None:
    """A value that cannot be read is an error that names its option."""
    with pytest.raises(UsageError, match="^-p: http is not a TCP port"):
        read_settings(make_parser().parse_args(["-S", "-p", "http"]))
