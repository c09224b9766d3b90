"""Limits that need no other user; tests/integration/test_confinement.py has the others."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import pwd
import resource
import signal
from typing import Any, cast

import pytest

from easycluster_server._system.posix import confinement
from easycluster_server._system.posix.confinement import Confinement, reload_signals

GIGABYTE = 2**30


def confined(wanted: Confinement) -> tuple[int, tuple[int, int]]:
    """Run in a process of its own: what it may do afterwards."""
    wanted(cast("Any", None))
    return os.nice(0), resource.getrlimit(resource.RLIMIT_DATA)


def test_nothing_is_wanted() -> None:
    """Without limits there is nothing to do; a server does not send it to its workers."""
    assert not Confinement()


def test_limits() -> None:
    """Memory and niceness are limited in the process that is confined; the limits travel to it by pickle."""
    wanted = pickle.loads(pickle.dumps(Confinement(max_memory=GIGABYTE, nice=3)))
    before = os.nice(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(confined, (wanted,)) == (before + 3, (GIGABYTE, GIGABYTE))

    assert wanted
    assert os.nice(0) == before


def test_too_little_memory() -> None:
    """A limit below which no connection could live is refused at once."""
    with pytest.raises(ValueError, match=r"1000 bytes are too few .* \(64M\)"):
        Confinement(max_memory=1000)


def test_more_memory_than_the_server_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit above that of the server itself, which each connection would be denied, is refused at once."""
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (GIGABYTE, GIGABYTE))
    monkeypatch.setattr(confinement, "_is_capable", lambda wanted: False)
    assert Confinement(max_memory=GIGABYTE)
    with pytest.raises(ValueError, match=f"cannot have {2 * GIGABYTE} bytes .* may have {GIGABYTE} itself"):
        Confinement(max_memory=2 * GIGABYTE)
    monkeypatch.setattr(confinement, "_is_capable", lambda wanted: True)
    assert Confinement(max_memory=2 * GIGABYTE)


def test_unknown_user() -> None:
    """A user who does not exist is named."""
    with pytest.raises(ValueError, match="cannot run as 'no-such-user': there is no such user"):
        Confinement(run_as="no-such-user")


def test_servers_that_cannot_change_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not root says what it needs."""
    monkeypatch.setattr(confinement, "_can_change_user", lambda: False)
    with pytest.raises(ValueError, match="cannot run as 'root': the server has to run as root, or with"):
        Confinement(run_as="root")


def test_group_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose group is that of root is refused, with the reason: the process could not give up that group."""
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(confinement, "_can_change_user", lambda: True)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((*nobody[:3], 0, *nobody[4:])))
    with pytest.raises(
        ValueError, match=r"run as 'nobody': the group of this user is that of root \(number 0\)"
    ):
        Confinement(run_as="nobody")


def test_servers_that_cannot_be_less_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A niceness that each connection would be denied is refused when the server is made."""
    monkeypatch.setattr(confinement, "_is_capable", lambda wanted: False)
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (0, 0))
    with pytest.raises(ValueError, match="the niceness -3: a server that is not root can only add to it"):
        Confinement(nice=-3)
    monkeypatch.setattr(resource, "getrlimit", lambda limit: (40, 40))
    assert Confinement(nice=-3)


def test_signals() -> None:
    """SIGHUP reads the keys again."""
    assert reload_signals() == (signal.SIGHUP,)
