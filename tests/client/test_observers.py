"""Observers that see little: what they conclude from silence."""

from __future__ import annotations

import pytest

from easycluster_client._observers import Observer, SocketObserver, Verdict


@pytest.mark.parametrize("unacknowledged", [None, 0, 10])
def test_observer_that_sees_nothing(unacknowledged: int | None) -> None:
    """It has no observation, and gives nobody up: the process may be busy."""
    observer = Observer()
    observer.ask()

    assert observer.find_observation() is None
    assert observer.judge_silence(unacknowledged) is None


@pytest.mark.parametrize("unacknowledged", [None, 0])
def test_host_that_acknowledges(unacknowledged: int | None) -> None:
    """A peer whose system acknowledges everything, or may do so, may be busy."""
    assert SocketObserver(acknowledges=True).judge_silence(unacknowledged) is None


def test_host_that_acknowledges_nothing() -> None:
    """A peer whose system acknowledges nothing is lost."""
    verdict = SocketObserver(acknowledges=True).judge_silence(23)

    assert verdict == Verdict("lost", "its host does not acknowledge 23 bytes")


@pytest.mark.parametrize("unacknowledged", [None, 0, 10])
def test_silence_of_a_local_peer(unacknowledged: int | None) -> None:
    """A peer on this machine, of which nothing is known, is given up for its silence."""
    verdict = SocketObserver(acknowledges=False).judge_silence(unacknowledged)

    assert verdict == Verdict("frozen", "it neither answers nor reads")
