"""The texts of units: what depends on settings, user, version and on whose service it is."""

from __future__ import annotations

import re

import pytest

from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services.systemd_units import (
    Unit,
    find_bad_address,
    make_service_unit,
    make_socket_unit,
    make_strict_drop_in,
    quote_word,
)

UNIT = Unit(("/opt/x/python", "-S"), "/etc/easycluster/server.ini", False, "easycluster", True)
KEY: dict[str, Setting] = {"keyfile": "/etc/easycluster/server.key"}


def lines(text: str) -> list[str]:
    """The lines of a unit that are no comments."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_service_of_the_machine() -> None:
    """It runs as its own user, has its key from systemd, and no capability."""
    unit = lines(make_service_unit(UNIT, Settings(KEY)))

    assert {
        "Type=notify",
        "ExecStart=/opt/x/python -S",
        "User=easycluster",
        "StateDirectory=easycluster",
        "LoadCredential=etc-easycluster-server.key:/etc/easycluster/server.key",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "WantedBy=multi-user.target",
    } <= set(unit)
    assert not any("socket" in line for line in unit)


def test_without_credentials() -> None:
    """An old systemd is not asked for what it does not know."""
    assert "LoadCredential" not in make_service_unit(UNIT._replace(has_credentials=False), Settings(KEY))


def test_another_user() -> None:
    """The home of another user is no folder of the service."""
    unit = make_service_unit(UNIT._replace(user="ann"), Settings(KEY))

    assert "User=ann\n" in unit
    assert "StateDirectory" not in unit


def test_connections_as_another_user() -> None:
    """A listener that becomes the user of each connection is root, with the few capabilities that this takes."""
    settings = Settings({"run_as": "ann", "strict": True})
    unit = make_service_unit(UNIT._replace(user=None), settings)

    assert "User=" not in unit
    assert "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL\n" in unit
    assert "PrivateUsers" not in make_strict_drop_in(settings)


def test_service_of_a_user() -> None:
    """It has only what a user's service can have."""
    unit = lines(make_service_unit(UNIT._replace(per_user=True, user=None), Settings(KEY)))

    assert {"NoNewPrivileges=yes", "WantedBy=default.target"} <= set(unit)
    assert not any(
        line.startswith(("User", "Protect", "Capability", "LoadCredential", "After")) for line in unit
    )


def test_with_a_socket() -> None:
    """A service whose port systemd holds needs the socket."""
    unit = make_service_unit(UNIT, Settings({"restart_safe": True}))

    assert "Requires=easycluster.socket\nAfter=easycluster.socket\n" in unit


@pytest.mark.parametrize(
    ("settings", "addresses"),
    [
        ({}, ["0.0.0.0:11999", "[::]:11999"]),
        ({"no_ipv6": True}, ["0.0.0.0:11999"]),
        ({"bind": "::1", "port": 5}, ["[::1]:5"]),
        ({"bind": ["192.0.2.1", "::1"], "port": 5}, ["192.0.2.1:5", "[::1]:5"]),
    ],
)
def test_socket(settings: dict[str, Setting], addresses: list[str]) -> None:
    """The socket has the addresses of the settings, each family by itself."""
    unit = lines(make_socket_unit(Settings(settings)))

    assert [line[len("ListenStream=") :] for line in unit if line.startswith("ListenStream=")] == addresses
    assert "BindIPv6Only=ipv6-only" in unit


@pytest.mark.parametrize(
    ("bind", "bad"), [(None, ""), ("192.0.2.1", ""), ("lab2", "lab2"), (["::1", "lab2"], "lab2")]
)
def test_addresses(bind: Setting, bad: str) -> None:
    """A socket takes addresses, and no names."""
    assert find_bad_address(Settings({"bind": bind})) == bad


def test_strict() -> None:
    """The drop-in takes devices, home folders and other users; networks are those of the settings."""
    drop_in = lines(make_strict_drop_in(Settings({"allow": ["192.0.2.0/24"]})))

    assert {
        "PrivateDevices=yes",
        "PrivateUsers=yes",
        "IPAddressDeny=any",
        "IPAddressAllow=192.0.2.0/24",
    } <= set(drop_in)
    assert "IPAddress" not in make_strict_drop_in(Settings({}))


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("/usr/bin/python", "/usr/bin/python"),
        ("/opt/my folder/python", '"/opt/my folder/python"'),
        ("100%", "100%%"),
        ("$x", "$$x"),
        ('a"b', '"a\\"b"'),
    ],
)
def test_words(word: str, quoted: str) -> None:
    """A word of the command is one word for systemd, which replaces nothing in it."""
    assert quote_word(word) == quoted


def test_percent_signs() -> None:
    """Names in units escape percent signs, which systemd expands: names of files and interfaces stay what they are."""
    key = Settings({"keyfile": "/etc/100%n/server.key"})
    assert re.search(r"LoadCredential=[^%\n]+:/etc/100%%n/server\.key\n", make_service_unit(UNIT, key))

    socket = make_socket_unit(Settings({"port": 8999, "bind": ["fe80::1%eth0"]}))
    assert "ListenStream=[fe80::1%%eth0]:8999\n" in socket
