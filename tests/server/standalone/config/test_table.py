"""The table of settings: each row can be an option and a line of the file, and no two have the same name."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest

from easycluster_server._standalone.config.table import OPTIONS, SECTIONS, Option
from easycluster_server._standalone.servers import Server


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_rows(option: Option) -> None:
    """A row has a long option, a section that exists, and a keyword that servers know, if any."""
    assert option.flags[-1] == "--" + option.key
    assert option.name == option.key.replace("-", "_")
    assert option.section in SECTIONS
    assert not option.keyword or option.keyword in inspect.signature(Server).parameters
    assert bool(option.metavar) == (option.kind.action in ("store", "append"))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_defaults(option: Option) -> None:
    """A default is a value that the setting's own text gives."""
    if option.default is not None:
        assert option.kind.read(option.kind.write(option.default)) == option.default


def test_names() -> None:
    """No option and no key stands for two settings."""
    flags = Counter(flag for option in OPTIONS for flag in option.flags)

    assert flags.most_common(1)[0][1] == 1


def test_no_key_in_the_file() -> None:
    """The file holds no key, because others may read it, and nothing of how the server is started."""
    assert [option.name for option in OPTIONS if not option.in_file] == ["key", "daemonize"]
