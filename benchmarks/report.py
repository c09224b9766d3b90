"""What the figures mean and how they are printed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

#: One round: seconds of EasyCluster, seconds of the baseline.
Round = tuple[float, float]

#: The rounds of one fresh set of processes.
Set = list[Round]

_WIDTH = 56


def alternate(rounds: int, ours: Callable[[], float], baseline: Callable[[], float]) -> Set:
    """Measure both in turn, after one round that does not count."""
    ours(), baseline()
    return [(ours(), baseline()) for _ in range(rounds)]


def microseconds(seconds: float) -> str:
    """Return a duration, for print."""
    return f"{seconds * 1e6:.1f} µs"


def milliseconds(seconds: float) -> str:
    """Return a duration, for print."""
    return f"{seconds * 1e3:.1f} ms"


def count_bytes(number: float) -> str:
    """Return a number of bytes, for print."""
    return f"{number:,.0f} B"


def per_second(seconds: float) -> str:
    """Return how often something happens that takes so long, for print."""
    return f"{1 / seconds:,.0f} /s"


@dataclass
class Result:
    """What one benchmark measured.

    Attributes:
        sets: the sets of rounds.
    """

    sets: list[Set]

    @property
    def ours(self) -> float:
        """The median of all rounds of EasyCluster, in seconds."""
        return median(ours for rounds in self.sets for ours, _ in rounds)

    @property
    def baseline(self) -> float:
        """The median of all rounds of the baseline, in seconds."""
        return median(baseline for rounds in self.sets for _, baseline in rounds)

    @property
    def ratio(self) -> float:
        """The median of the sets' ratios. Each is the ratio of the medians of its rounds, so that both
        sides of it saw the same processes, in the same minute."""
        return median(self._ratios())

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the largest ratio of a set; of a round when there is one set only."""
        if len(self.sets) > 1:
            ratios = self._ratios()
        else:
            ratios = [ours / baseline for ours, baseline in self.sets[0]]
        return min(ratios), max(ratios)

    def _ratios(self) -> list[float]:
        return [
            median(ours for ours, _ in each) / median(baseline for _, baseline in each) for each in self.sets
        ]


def print_header() -> None:
    """Print where and when this was measured, and the heads of the columns."""
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {_processor()}, {len(os.sched_getaffinity(0))} CPUs,")
    print(f"{platform.system()} {platform.release()}, Python {platform.python_version()}")
    print("ratio: time of EasyCluster / time of the baseline; below 1, EasyCluster is faster")
    print()
    print(f"{'':{_WIDTH}} {'EasyCluster':>12} {'baseline':>12} {'ratio':>6}   {'spread':<11}  {'load':>5}")


def print_result(name: str, show: Callable[[float], str], result: Result) -> None:
    """Print one row; ``show`` turns seconds into text."""
    low, high = result.spread
    print(
        f"{name:{_WIDTH}} {show(result.ours):>12} {show(result.baseline):>12} {result.ratio:6.2f}   "
        f"{f'{low:.2f}-{high:.2f}':<11}  {os.getloadavg()[0]:5.2f}",
        flush=True,
    )


def print_left_out(name: str, reason: str) -> None:
    """Print why a row has no figures."""
    print(f"{name:{_WIDTH}} left out: {reason}", flush=True)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
