"""One call after the other: how long a call of a function that does nothing takes."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

from processes import contestants, pin_to_one_cpu, threaded_and_plain
from report import Set, alternate

_CALLS = 2000


def seconds_per_call(call: Callable[[], object]) -> float:
    """Return the median of how long so many calls take."""
    times: list[float] = []
    for _ in range(_CALLS):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def measure(transport: str, pinned: bool, rounds: int, copy: bool = True) -> Set:
    """Measure one set; run it in a fresh process.

    Args:
        transport: ``"tcp"`` or ``"local"``.
        pinned: whether both ends share one CPU. Then nothing depends on where the kernel puts them,
            and the figure is the work of a call.
        rounds: how often each is measured.
        copy: see `contestants`.
    """
    if pinned:
        pin_to_one_cpu()
    with contestants(transport, copy=copy) as (client, peer):

        def ours() -> None:
            client.noop()

        def baseline() -> None:
            peer.call("noop")

        return alternate(rounds, lambda: seconds_per_call(ours), lambda: seconds_per_call(baseline))


def measure_threaded(pinned: bool, rounds: int) -> Set:
    """Measure one set of calls on a ThreadedClient; the baseline is the same call on a Client."""
    if pinned:
        pin_to_one_cpu()
    with threaded_and_plain() as (threaded, plain):
        return alternate(
            rounds,
            lambda: seconds_per_call(lambda: threaded.call("noop")),
            lambda: seconds_per_call(lambda: plain.call("noop")),
        )


def measure_proxy(pinned: bool, rounds: int) -> Set:
    """Measure one set of calls of a proxy's method; the baseline is a call of a function on the same Client."""
    if pinned:
        pin_to_one_cpu()
    with contestants("tcp") as (client, _):
        thing = client.Thing()

        def method() -> None:
            thing.noop()

        def function() -> None:
            client.noop()

        return alternate(rounds, lambda: seconds_per_call(method), lambda: seconds_per_call(function))
