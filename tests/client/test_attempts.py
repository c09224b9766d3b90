"""Attempts to connect: whose they are, and what ends when they are given up."""

from __future__ import annotations

import threading

import pytest

from easycluster_client._attempts import Attempt, find_attempt
from easycluster_client._deadlines import Deadline
from easycluster_protocol.errors import ConnectError
from helpers.waiting import PATIENCE


def test_attempt_belongs_to_its_thread() -> None:
    """Inside of its block a thread makes the attempt; before, after, and in other threads there is none."""
    attempt, seen = Attempt(), list[Attempt | None]()
    with attempt:
        thread = threading.Thread(target=lambda: seen.append(find_attempt()))
        thread.start()
        thread.join(PATIENCE)
        seen.append(find_attempt())

    assert [*seen, find_attempt()] == [None, attempt, None]


def test_attempt_that_is_given_up() -> None:
    """Its deadlines end with the reason, however long they are; so do its pauses, and what has to be woken is."""
    attempt, woken = Attempt(), list[str]()
    attempt.end_by(lambda: woken.append("before"))
    with attempt:
        deadline = Deadline(PATIENCE)
    attempt.check()
    attempt.give_up("enough")
    attempt.end_by(lambda: woken.append("after"))

    assert woken == ["before", "after"]
    with pytest.raises(ConnectError, match="^enough$"):
        deadline.wait(-1)
    with pytest.raises(ConnectError, match="^enough$"):
        attempt.sleep(PATIENCE)
