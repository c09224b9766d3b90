"""Writing the configuration file: every setting is explained, and changes keep what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_server._standalone.config.editing import edit, make_template
from easycluster_server._standalone.config.file import read_config_file
from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.table import OPTIONS

VALUES: dict[str, Setting] = {
    "port": 12000,
    "allow": ["192.0.2.0/24", "::1"],
    "no_ipv6": True,
    "verbose": 2,
    "restart_safe": True,
}


def read(folder: Path, text: str) -> dict[str, Setting]:
    """The settings that a text gives."""
    path = folder / "server.ini"
    path.write_text(text)
    return read_config_file(str(path)).given


def test_template(tmp_path: Path) -> None:
    """A new file has each setting as a comment, with what it means, and gives none."""
    text = make_template()

    assert read(tmp_path, text) == {}
    for option in OPTIONS:
        assert (f"# {option.help}" in text) == option.in_file
        assert (f"\n#{option.key} =" in text) == option.in_file
    assert "(default: 11999)\n#port = 11999\n" in text


def test_values(tmp_path: Path) -> None:
    """Values take the places of their comments, and are read as they were given; again changes nothing."""
    text = edit(make_template(), VALUES)

    assert read(tmp_path, text) == VALUES
    assert text.count("port =") == 1
    assert edit(text, VALUES) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("[server]\nport=5 \nbind = ::1\n", "[server]\nport = 12000\nbind = ::1\n", id="value"),
        pytest.param("[server]\n# port = 5\n", "[server]\nport = 12000\n", id="comment"),
        pytest.param(
            "[server]\n# mine\nbind = ::1", "[server]\nport = 12000\n# mine\nbind = ::1\n", id="missing"
        ),
        pytest.param("[server]", "[server]\nport = 12000\n", id="header alone"),
        pytest.param("", "[server]\nport = 12000\n", id="nothing"),
        pytest.param(
            "[service]\n#port = 5\n", "[service]\n#port = 5\n\n[server]\nport = 12000\n", id="elsewhere"
        ),
    ],
)
def test_places(before: str, after: str) -> None:
    """A value is put where the setting stands, or its comment, or else at the beginning of its section."""
    assert edit(before, {"port": 12000}) == after


def test_value_of_several_lines() -> None:
    """A list on several lines is replaced as a whole."""
    before = "[server]\nallow = 192.0.2.0/24,\n    ::1\nport = 5\n"

    assert edit(before, {"allow": ["::2"]}) == "[server]\nallow = ::2\nport = 5\n"
