"""Processes that are forked from the master: its sessions are given up there."""

from __future__ import annotations

import gc
import os
import runpy
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from easycluster_client._process import forks
from easycluster_client._process.forks import Abandonable, abandon_after_fork


class Session:
    """A session that does something when it is given up.

    Args:
        on_abandon: what it does.
    """

    def __init__(self, on_abandon: Callable[[], object]) -> None:
        self._on_abandon = on_abandon

    def abandon(self) -> None:
        self._on_abandon()


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> weakref.WeakSet[Abandonable]:
    """The noted sessions, none at first; afterwards all is as before."""
    found: weakref.WeakSet[Abandonable] = weakref.WeakSet()
    monkeypatch.setattr(forks, "_sessions", found)
    return found


def test_sessions_are_abandoned() -> None:
    """Each session is given up once in the child, however often it was noted."""
    abandoned: list[int] = []
    one, two = Session(lambda: abandoned.append(1)), Session(lambda: abandoned.append(2))
    for each in (one, two, one):
        abandon_after_fork(each)
    before = list(abandoned)
    forks._after_fork_in_child()

    assert before == []
    assert sorted(abandoned) == [1, 2]


def test_child_of_the_child() -> None:
    """A process that the child forks gives up the sessions of the child, and not those of the parent again."""
    abandoned: list[str] = []
    parents, childs = Session(lambda: abandoned.append("parent")), Session(lambda: abandoned.append("child"))
    abandon_after_fork(parents)
    forks._after_fork_in_child()
    abandon_after_fork(childs)
    forks._after_fork_in_child()

    assert abandoned == ["parent", "child"]


def test_dropped_sessions() -> None:
    """A session that nobody has any more is not kept for forks."""
    abandoned: list[int] = []
    session = Session(lambda: abandoned.append(1))
    reference = weakref.ref(session)
    abandon_after_fork(session)
    del session
    gc.collect()
    forks._after_fork_in_child()

    assert reference() is None
    assert abandoned == []


def test_session_that_notes_another() -> None:
    """Noting a session while others are given up disturbs none of them."""
    abandoned: list[int] = []
    late = Session(lambda: abandoned.append(2))

    def note_another() -> None:
        abandoned.append(1)
        abandon_after_fork(late)

    noted = [Session(note_another), Session(note_another)]
    for each in noted:
        abandon_after_fork(each)
    forks._after_fork_in_child()

    assert abandoned == [1, 1]


def test_no_sessions(sessions: weakref.WeakSet[Abandonable]) -> None:
    """A fork without sessions does nothing."""
    forks._after_fork_in_child()

    assert list(sessions) == []


def test_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are given up in the child alone, from the import of the module on."""
    registered: list[dict[str, Any]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **functions: registered.append(functions))
    names = runpy.run_path(forks.__file__)

    assert [functions["after_in_child"] for functions in registered] == [names["_after_fork_in_child"]]
