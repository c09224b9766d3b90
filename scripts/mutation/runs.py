"""Runs the tests on copies of the checkout: once as it is, to see which test runs which line, then on each mutant.

Each run is a fork of this process, which has imported pytest and its plugins, but nothing of the packages. So it costs
no start of an interpreter, and it imports the packages as they stand in its copy.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import py_compile
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Container, Generator
from pathlib import Path
from typing import NamedTuple

import coverage
import hypothesis
import numpy as np  # noqa: F401 - some tests need it, and it takes long to import
import pytest

#: A mutant that takes all memory must not take the machine's.
_MOST_MEMORY = 4 << 30
_OPTIONS = ["-qx", "-pno:xdist", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning"]
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "dist", "htmlcov"
)
#: Seconds for all tests of a folder.
_LONGEST = 1800


class Tests(NamedTuple):
    """What is known about the tests of a folder."""

    seconds: dict[str, float]
    """From each test to the time that it takes."""

    untraced: set[str]
    """Tests that cannot run while coverage is measured, so nobody knows which lines they run."""

    by_line: dict[str, dict[int, set[str]]]
    """From a file and a line to the tests that run it; "" is the import of the file."""


def copy_checkout(root: Path, folder: Path) -> Path:
    """Copy what tests may read, and return the copy."""
    return shutil.copytree(root, folder / "checkout", ignore=_NOT_COPIED, symlinks=True)


def copy_copy(copy: Path, folder: Path) -> Path:
    """Copy what is compiled too."""
    return shutil.copytree(copy, folder / "checkout", symlinks=True)


def compile_packages(copy: Path) -> None:
    """Compile what the mutants leave as it is, in such a way that a changed file is never taken for its older self."""
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    for source in copy.glob("packages/*/src"):
        compileall.compile_dir(source, quiet=1, force=True, invalidation_mode=mode)


class Run:
    """A process that runs tests in a copy.

    Args:
        copy: the copy of the checkout.
        files: the files of the tests.
        plugin: a plugin of pytest that chooses among their tests.
        limit: after so many seconds the process is killed.
        before: called in the process before the packages are imported, and `after` at its end.
    """

    def __init__(
        self,
        copy: Path,
        files: list[str],
        plugin: object,
        limit: float,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.copy = copy
        self.log = copy.parent / "log"
        self._until = time.monotonic() + limit
        self._ended = False
        self._pid = os.fork()
        if not self._pid:
            status = 70
            try:
                self._enter()
                before()
                status = int(pytest.main([*_OPTIONS, *files], [plugin]))
                after()
            except BaseException:  # noqa: BLE001 - it goes into the log, and the status tells
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)

    def _enter(self) -> None:
        """Make this process one that works in the copy."""
        os.setsid()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        os.chdir(self.copy)
        paths = [str(path) for path in self.copy.glob("packages/*/src")]
        sys.path[:0] = paths
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        # Found tests, not found bugs, decide which mutants die: no chance, no search for the smallest example.
        hypothesis.settings.register_profile(
            "mutants",
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        hypothesis.settings.load_profile("mutants")
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))

    def status(self) -> int | str | None:
        """Return pytest's exit status, "timeout", or None while it runs."""
        if time.monotonic() >= self._until:
            return "timeout"
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        self._ended = bool(pid)
        return os.waitstatus_to_exitcode(status) if pid else None

    def end(self) -> None:
        """End the process, if it has not ended, and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        if not self._ended:
            os.waitpid(self._pid, 0)


class Chosen:
    """Leaves out all tests but the chosen ones, and runs the quick ones first.

    Args:
        tests: the chosen tests, with their times.
        known: all tests.
    """

    def __init__(self, tests: dict[str, float], known: Container[str]) -> None:
        self._tests = tests
        self._known = known
        self._functions = {_function_of(test) for test in tests}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose. A test whose parameters, and hence its name, are new with the mutant is chosen by its function."""
        items[:] = sorted(
            (
                item
                for item in items
                if item.nodeid in self._tests
                or (item.nodeid not in self._known and _function_of(item.nodeid) in self._functions)
            ),
            key=lambda item: self._tests.get(item.nodeid, 0.0),
        )


def _function_of(test: str) -> str:
    return test.partition("[")[0]


class _Measured:
    """Notes which test takes how long, and runs which lines; then writes that into a file."""

    def __init__(self, copy: Path, *, traced: bool) -> None:
        self.result = copy.parent / "measured.json"
        self._copy = copy
        self._traced = traced
        self._coverage: coverage.Coverage | None = None
        self._seconds: dict[str, float] = {}

    def begin(self) -> None:
        """Begin to measure."""
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False  # pytest keeps the tests as it has rewritten them
        if self._traced:
            self._coverage = coverage.Coverage(
                data_file=str(self._copy.parent / "coverage"),
                config_file=False,
                include=[str(self._copy / "packages" / "*")],
            )
            self._coverage.start()

    def end(self) -> None:
        """Write it down."""
        lines: dict[str, dict[int, list[str]]] = {}
        if self._coverage is not None:
            self._coverage.stop()
            data = self._coverage.get_data()
            for file in data.measured_files():
                lines[os.path.relpath(file, self._copy)] = data.contexts_by_lineno(file)
        self.result.write_text(json.dumps([self._seconds, lines]))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose the tests that can be traced, or the others."""
        items[:] = [item for item in items if (item.get_closest_marker("untraced") is None) == self._traced]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note the lines of a test, those of its fixtures too."""
        if self._coverage is not None:
            self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            if self._coverage is not None:
                self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the time."""
        if not report.skipped:
            self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0) + report.duration


def measure(copy: Path, folder: str) -> Tests:
    """Run the tests of a folder in an unchanged copy.

    Raises:
        SystemExit: one fails, so that the results would say nothing about the mutants.
    """
    found = []
    for traced in (True, False):
        measured = _Measured(copy, traced=traced)
        run = Run(copy, [folder], measured, _LONGEST, measured.begin, measured.end)
        try:
            while (status := run.status()) is None:
                time.sleep(0.1)
        finally:
            run.end()
        if status not in {0, int(pytest.ExitCode.NO_TESTS_COLLECTED)}:
            sys.exit(f"{run.log.read_text()}\n{folder}: the tests do not pass without a mutant ({status})")
        found.append(json.loads(measured.result.read_text()))
    (seconds, lines), (untraced, _) = found
    return Tests(
        {**seconds, **untraced},
        set(untraced),
        {file: {int(line): set(tests) for line, tests in by.items()} for file, by in lines.items()},
    )
