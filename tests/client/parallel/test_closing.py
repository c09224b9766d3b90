"""Closing many clients: all at once, whatever becomes of each."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from easycluster_client._api.client import Client
from easycluster_client._parallel.closing import close_all
from helpers.waiting import PATIENCE


class Closable:
    """Stands for a client; notes how it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed: list[str] = []
        self._error = error

    def close(self, message: str) -> None:
        """Note the text."""
        self.closed.append(message)
        if self._error is not None:
            raise self._error


def closables(*found: Closable) -> list[Client]:
    """Return them as the clients for which they stand."""
    return [cast("Client", each) for each in found]


def test_all_are_closed() -> None:
    """Each client is closed once, with the text; those of a mapping are its values."""
    found = [Closable() for _ in range(100)]
    close_all(closables(*found[:50]), "that is all")
    close_all({str(number): client for number, client in enumerate(closables(*found[50:]))})
    close_all([])

    assert [each.closed for each in found] == [["that is all"]] * 50 + [["Connection closed"]] * 50


def test_they_are_closed_at_the_same_time() -> None:
    """A client whose end takes long does not keep others open."""
    together = threading.Barrier(10, timeout=PATIENCE)

    class Slow(Closable):
        def close(self, message: str) -> None:
            together.wait()
            super().close(message)

    found = [Slow() for _ in range(10)]
    close_all(closables(*found))

    assert all(each.closed for each in found)


def test_first_error_is_raised_in_the_end() -> None:
    """A client that cannot be closed in order is an error, when the others have been closed."""
    found = [Closable(), Closable(ValueError("no")), Closable()]
    with pytest.raises(ValueError, match="no"):
        close_all(closables(*found))

    assert all(each.closed for each in found)


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there can be no more threads, as at the end of the interpreter, the calling thread closes all."""

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    found = [Closable() for _ in range(5)]
    close_all(closables(*found))

    assert all(each.closed for each in found)
