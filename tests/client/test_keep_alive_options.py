"""The options of keep-alive: their checks, and their meaning together."""

from __future__ import annotations

from typing import Any

import pytest

from easycluster_client._keep_alive_options import KeepAliveOptions, check_keep_alive


@pytest.mark.parametrize(("seconds", "expected"), [(None, None), (3, 3.0), (0.25, 0.25), (True, 1.0)])
def test_settings(seconds: Any, expected: float | None) -> None:
    """None and any positive number are settings; a number becomes a float."""
    found = check_keep_alive(seconds, seconds)

    assert found == (expected, expected)
    assert [type(each) for each in found] == [type(expected)] * 2


@pytest.mark.parametrize("name", ["keep_alive_interval", "keep_alive_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, 0.0, float("nan"), "3", b"3", [1], 1j], ids=repr)
def test_settings_that_are_refused(name: str, seconds: Any) -> None:
    """Everything else is refused, by an error that names the setting and shows the value."""
    values = {"keep_alive_interval": 1.0, "keep_alive_timeout": 1.0, name: seconds}
    with pytest.raises(ValueError, match=f"^{name} must be") as caught:
        check_keep_alive(*values.values())

    assert str(caught.value) == f"{name} must be a positive number of seconds or None, not {seconds!r}"


@pytest.mark.parametrize(
    ("interval", "timeout", "limit"), [(10.0, 60.0, 60.0), (None, 60.0, None), (10.0, None, None)]
)
def test_limit(interval: float | None, timeout: float | None, limit: float | None) -> None:
    """A connection is given up only if the server is asked, too."""
    assert KeepAliveOptions(interval, timeout).limit == limit
