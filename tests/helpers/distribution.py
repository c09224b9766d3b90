"""Distributes the tests over the workers of pytest-xdist, also when workers die. A pytest plugin.

A worker that dies costs the test that ran in it, which counts as failed, and nothing else. The `loadgroup` of
pytest-xdist 3.8 itself does not keep that promise:

- It gives away again all that the dead worker ever had, finished tests too. A worker that gets nothing but finished
  tests has nothing to report, so it gets no more, and the run waits for ever.
- It gives a new worker one test only. A worker begins a test when it knows the next one, so it does not begin.
- It gives tests to a new worker that has not yet collected any, which is an internal error and ends the run.
- It runs the test in which the worker died again and again, until the number of new workers is exhausted.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling | None:
    """Take the place of ``--dist loadgroup``."""
    return CrashProofScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


class CrashProofScheduling(LoadGroupScheduling):
    """Gives each group to one worker; what a dead worker has not begun goes to others."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker.

        Returns:
            The test that ran in it, which does not run again; or None.
        """
        units = self.assigned_work[node]
        waiting = [test for unit in units.values() for test, done in unit.items() if not done]
        crashed = waiting[0] if waiting else None
        self.assigned_work[node] = {
            scope: left
            for scope, unit in units.items()
            if (left := {test: False for test, done in unit.items() if not done and test != crashed})
        }
        if self.collection is None:
            self.registered_collections.pop(node, None)  # or else another one counts as ready in its place
        super().remove_node(node)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker more to do: at least two tests, or the order to end after what it has."""
        if node not in self.registered_collections:
            return  # it is given its first tests once it has collected them
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)
