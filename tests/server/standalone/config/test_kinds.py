"""Kinds of settings: what their texts mean, and that writing and reading give the same value."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from easycluster_server._standalone.config.kinds import (
    Choice,
    Count,
    Flag,
    Kind,
    Network,
    Number,
    Path,
    Secret,
    Setting,
    Several,
)

PORT = Number(0, 65535, "a TCP port")


@pytest.mark.parametrize(
    ("kind", "text", "value", "written"),
    [
        pytest.param(Kind(), " lab2 ", "lab2", "lab2", id="text"),
        pytest.param(Secret(), " ", " ", " ", id="secret"),
        pytest.param(Path(), "/etc/x.key", "/etc/x.key", "/etc/x.key", id="path"),
        pytest.param(PORT, " 12000", 12000, "12000", id="number"),
        pytest.param(Count(), "2", 2, "2", id="count"),
        pytest.param(Flag(), "Yes", True, "yes", id="yes"),
        pytest.param(Flag(), "off", False, "no", id="no"),
        pytest.param(Choice(("a", "b"), "letter"), "b", "b", "b", id="choice"),
        pytest.param(Network(), "192.0.2.7/24", "192.0.2.7/24", "192.0.2.7/24", id="network"),
        pytest.param(
            Several(Network()), "192.0.2.0/24,\n::1", ["192.0.2.0/24", "::1"], "192.0.2.0/24, ::1", id="list"
        ),
        pytest.param(Several(Kind()), "", [], "", id="empty list"),
    ],
)
def test_texts(kind: Kind, text: str, value: Setting, written: str) -> None:
    """A text is read as its value, whose own text is read as the same."""
    assert kind.read(text) == value
    assert kind.write(value) == written
    assert kind.read(written) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        pytest.param(Kind(), "  ", "the value is blank", id="blank text"),
        pytest.param(Path(), "", "the value is blank", id="blank path"),
        pytest.param(PORT, "http", "http is not a TCP port", id="no number"),
        pytest.param(PORT, "65536", "65536 is not a TCP port", id="too high"),
        pytest.param(PORT, "-1", "-1 is not a TCP port", id="too low"),
        pytest.param(Count(), "-1", "-1 is not a number, 0 or more", id="count"),
        pytest.param(Flag(), "maybe", "'maybe' is neither yes nor no", id="flag"),
        pytest.param(
            Choice(("a", "b"), "letter"), "c", "there is no letter 'c'; there are a and b", id="choice"
        ),
        pytest.param(
            Several(Network()), "::1, x", "'x' does not appear to be an IPv4 or IPv6 network", id="list"
        ),
    ],
)
def test_texts_that_mean_nothing(kind: Kind, text: str, message: str) -> None:
    """A text that cannot be read is an error that says what it should be."""
    with pytest.raises(ValueError, match="^" + message + "$"):
        kind.read(text)


def test_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: FilePath) -> None:
    """A path may start at the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Path().read("~/x.key") == str(tmp_path / "x.key")


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (PORT, "5", 5),
        (Flag(), True, True),
        (Count(), 2, 2),
        (Several(Kind()), ["a", " b"], ["a", "b"]),
    ],
)
def test_options(kind: Kind, given: Setting, value: Setting) -> None:
    """What argparse has collected for an option is read like a text, or is the value already."""
    assert kind.read_option(given) == value
