"""Settings: what is given goes before the file, and the file before the defaults."""

from __future__ import annotations

from easycluster_server._standalone.config.settings import Settings


def test_defaults() -> None:
    """Settings that are not given have their defaults, and servers are not told of them."""
    settings = Settings({"bind": None})

    assert settings.number("port") == settings.get("port") == 11999
    assert settings.text("run_as") is None
    assert settings.texts("bind") == []
    assert settings.texts("allow") == []
    assert (settings.given, settings.server_keywords()) == ({}, {})


def test_given() -> None:
    """Those that are given arrive, and those that a server takes as they are have its keywords."""
    settings = Settings({"port": 5, "bind": "::1", "allow": ["::1"], "no_ipv6": True, "verbose": 2})

    assert settings.number("port") == 5
    assert settings.texts("allow") == ["::1"]
    assert settings.server_keywords() == {"bindaddr": "::1", "allow": ["::1"], "disable_ipv6": True}


def test_options_before_the_file() -> None:
    """An option counts more than the file, and the file more than a default."""
    both = Settings({"port": 5}).over(Settings({"port": 6, "bind": "::1"}))

    assert both.given == {"port": 5, "bind": "::1"}


def test_a_key_before_the_key_file_of_the_file() -> None:
    """A key that is given takes the place of the file's own key file: there is no doubt which counts."""
    both = Settings({"key": "secret"}).over(Settings({"keyfile": "/etc/x.key"}))

    assert both.given == {"key": "secret"}
