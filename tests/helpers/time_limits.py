"""Ends a hung test by its name, whatever it hangs in. A pytest plugin.

Three limits stand one behind the other; each is needed only where the one before it did not help:

1. pytest-timeout raises in the test when its `timeout` is over, by SIGALRM. The test fails with the stacks of all
   threads, and its worker goes on with the next test. That does not help where the main thread is in C code that no
   signal ends, where SIGALRM is blocked or has another handler, and where all exceptions are caught.
2. `pytest_runtest_setup` and its like below: after twice that time in one phase of a test, or where a mark sets its
   own limit some time after that, faulthandler writes the stacks and ends the process. It has a thread in C that needs no lock of Python. pytest-xdist then starts another
   worker, see `helpers.distribution`. pytest has the same as an option, but cancels it as soon as a test fails, so it
   does not hold for what is torn down afterwards.
3. `SilenceWatch` in the process that distributes the tests: when it has heard nothing of any worker for three times
   that time (and longer than the longest mark allows, `longest_timeout` in the settings), it kills the workers, which may have been stopped by SIGSTOP or hang while they collect tests.
   If that changes nothing, it ends the run.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

_LIMIT = pytest.StashKey[float]()
_STDERR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the setting."""
    parser.addini("longest_timeout", "the most seconds that a `timeout` mark gives a test")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the descriptor of standard error, which tests capture, and begin to watch the workers."""
    limit = config.getoption("timeout")
    config.stash[_LIMIT] = float(config.getini("timeout") or 0 if limit is None else limit)
    # A limit that is given for this run is to hold for silence, too.
    longest = float(config.getini("longest_timeout") or 0) if limit is None else 0.0
    config.stash[_STDERR] = os.dup(2)
    if config.getoption("dist", "no") != "no" and config.stash[_LIMIT]:
        silence = max(3 * config.stash[_LIMIT], longest + 2 * config.stash[_LIMIT] if longest else 0.0)
        config.pluginmanager.register(SilenceWatch(silence, config.stash[_STDERR]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the descriptor."""
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Limit the time of a test's fixtures, as the two hooks below limit the other phases."""
    return (yield from _limited(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Limit the time of the test itself."""
    return (yield from _limited(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Limit the time of the end of the fixtures."""
    return (yield from _limited(item))


def _limited(item: pytest.Item) -> Generator[None]:
    limit = _find_limit(item)
    if limit:
        faulthandler.dump_traceback_later(limit, file=item.config.stash[_STDERR], exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _find_limit(item: pytest.Item) -> float:
    """Return the seconds after which faulthandler ends the process; 0: it does not."""
    usual = item.config.stash[_LIMIT]
    mark = item.get_closest_marker("timeout")
    if mark is None or not usual:
        return 2 * usual
    own = float(mark.kwargs.get("timeout", *mark.args[:1]))
    if own > float(item.config.getini("longest_timeout") or own):
        raise pytest.UsageError(f"{item.nodeid}: longest_timeout in pyproject.toml has to be {own:g} or more")
    return max(2 * usual, own + usual) if own else 0.0


class SilenceWatch:
    """Looks whether the workers still report anything.

    Args:
        limit: seconds of silence after which they are killed.
        stderr: the descriptor on which that is said.
    """

    def __init__(self, limit: float, stderr: int) -> None:
        self._limit = limit
        self._stderr = stderr
        self._heard = time.monotonic()
        self._workers: dict[Any, int] = {}
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="silence watch", daemon=True).start()

    def pytest_unconfigure(self) -> None:
        """The run has ended."""
        self._over.set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker has been started."""
        self._workers[node] = node.gateway._rinfo().pid  # as pytest-xdist looks at it
        self._hear()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self._workers.pop(node, None)
        self._hear()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """A worker has found the tests."""
        self._hear()

    def pytest_runtest_logstart(self) -> None:
        """A worker has begun a test."""
        self._hear()

    def pytest_runtest_logreport(self) -> None:
        """A worker has finished a phase of a test."""
        self._hear()

    def _hear(self) -> None:
        self._heard = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(self._limit / 20):
            if time.monotonic() > self._heard + self._limit:
                self._hear()
                self._end_silence()

    def _end_silence(self) -> None:
        workers = list(self._workers.values())
        self._workers.clear()
        text = f"\nno worker has reported anything for {self._limit:g} s: killing {workers or 'this run'}\n"
        os.write(self._stderr, text.encode())
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        if not workers:
            faulthandler.dump_traceback(self._stderr)
            os._exit(1)
