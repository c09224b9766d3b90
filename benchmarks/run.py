"""Print how fast EasyCluster is, beside a baseline written by hand. See README.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bulk
import connect
import in_flight
import over_ssh
import round_trip
import tls
import windows
from processes import in_fresh_process
from report import (
    Result,
    Set,
    count_bytes,
    microseconds,
    milliseconds,
    per_second,
    print_header,
    print_left_out,
    print_result,
)

#: The rows that have a target, and the most that each may be.
TARGETS = {
    "round trip, keyed TCP, one CPU": 1.9,
    "round trip, keyed TCP, one CPU, ThreadedClient / Client": 1.3,
    "round trip, keyed TCP, one CPU, proxy's method / function": 1.4,
    "round trip, server on Windows / on Linux": 4.0,
    "connect, server on Windows / on Linux": 2.0,
}


@dataclass
class Benchmark:
    """One row.

    Attributes:
        name: its name, as printed.
        show: turns seconds into what is printed.
        sets: how many fresh sets of processes are measured.
        measure: measures one set.
        arguments: what it is called with.
        missing: returns why it cannot be measured here, or nothing.
    """

    name: str
    show: Callable[[float], str]
    sets: int
    measure: Callable[..., Set]
    arguments: dict[str, Any]
    missing: Callable[[], str] = str


BENCHMARKS = (
    Benchmark(
        "round trip, keyed TCP, one CPU",
        microseconds,
        7,
        round_trip.measure,
        {"transport": "tcp", "pinned": True, "rounds": 7, "copy": False},
    ),
    Benchmark(
        "  baseline's server forked from its client",
        microseconds,
        7,
        round_trip.measure,
        {"transport": "tcp", "pinned": True, "rounds": 7},
    ),
    Benchmark(
        "round trip, keyed TCP, all CPUs",
        microseconds,
        7,
        round_trip.measure,
        {"transport": "tcp", "pinned": False, "rounds": 7},
    ),
    Benchmark(
        "round trip, local, one CPU",
        microseconds,
        7,
        round_trip.measure,
        {"transport": "local", "pinned": True, "rounds": 7},
    ),
    Benchmark(
        "round trip, local, all CPUs",
        microseconds,
        7,
        round_trip.measure,
        {"transport": "local", "pinned": False, "rounds": 7},
    ),
    Benchmark(
        "round trip, keyed TCP, one CPU, ThreadedClient / Client",
        microseconds,
        7,
        round_trip.measure_threaded,
        {"pinned": True, "rounds": 7},
    ),
    Benchmark(
        "round trip, keyed TCP, one CPU, proxy's method / function",
        microseconds,
        7,
        round_trip.measure_proxy,
        {"pinned": True, "rounds": 7},
    ),
    Benchmark(
        "round trip, all CPUs, ThreadedClient / Client",
        microseconds,
        7,
        round_trip.measure_threaded,
        {"pinned": False, "rounds": 7},
    ),
    Benchmark(
        "calls in flight, keyed TCP", per_second, 5, in_flight.measure, {"transport": "tcp", "rounds": 5}
    ),
    Benchmark(
        "calls in flight, local", per_second, 5, in_flight.measure, {"transport": "local", "rounds": 5}
    ),
    Benchmark("echo of 64 MiB, keyed TCP", milliseconds, 5, bulk.measure, {"transport": "tcp", "rounds": 5}),
    Benchmark("echo of 64 MiB, local", milliseconds, 5, bulk.measure, {"transport": "local", "rounds": 5}),
    Benchmark("connect, first local (python -c pass)", milliseconds, 7, connect.measure_first_local, {}),
    Benchmark("connect, further local (fork)", milliseconds, 3, connect.measure_local, {"rounds": 7}),
    Benchmark("connect, TCP (accept and fork)", milliseconds, 3, connect.measure_tcp, {"rounds": 7}),
    Benchmark("round trip, one CPU, TLS / HMAC", microseconds, 7, tls.measure, {"pinned": True, "rounds": 7}),
    Benchmark(
        "round trip, all CPUs, TLS / HMAC", microseconds, 7, tls.measure, {"pinned": False, "rounds": 7}
    ),
    Benchmark("echo of 64 MiB, TLS / HMAC", milliseconds, 5, tls.measure_bulk, {"rounds": 5}),
    Benchmark("connect, TLS / HMAC", milliseconds, 3, tls.measure_connect, {"rounds": 7}),
    Benchmark(
        "connect, SSH (ssh host python -c pass)",
        milliseconds,
        2,
        over_ssh.measure_connect,
        {"rounds": 7},
        over_ssh.missing,
    ),
    Benchmark(
        "script that connects by SSH (script that runs ssh)",
        milliseconds,
        2,
        over_ssh.measure_script,
        {"rounds": 7},
        over_ssh.missing,
    ),
    Benchmark(
        "echo of 64 MiB, SSH (ssh host cat)",
        milliseconds,
        3,
        over_ssh.measure_bulk,
        {"rounds": 5},
        over_ssh.missing,
    ),
    Benchmark(
        "sent before the first call, SSH (limit)", count_bytes, 1, over_ssh.measure_sent, {"calls": False}
    ),
    Benchmark("sent up to the first result, SSH", count_bytes, 1, over_ssh.measure_sent, {"calls": True}),
    Benchmark(
        "round trip, server on Windows / on Linux",
        microseconds,
        3,
        windows.measure_call,
        {"rounds": 7},
        windows.missing,
    ),
    Benchmark(
        "connect, server on Windows / on Linux",
        milliseconds,
        2,
        windows.measure_connect,
        {"rounds": 7, "spare": True},
        windows.missing,
    ),
    Benchmark(
        "  when no interpreter is ready",
        milliseconds,
        2,
        windows.measure_connect,
        {"rounds": 5, "spare": False},
        windows.missing,
    ),
)


def main() -> int:
    """Run the benchmarks that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure EasyCluster beside a baseline written by hand.")
    parser.add_argument("words", nargs="*", help="run only benchmarks whose name contains one of these words")
    parser.add_argument("--sets", type=int, metavar="N", help="measure N fresh sets of processes for each")
    parser.add_argument("--quick", action="store_const", dest="sets", const=1, help="the same as --sets 1")
    parser.add_argument(
        "--check", action="store_true", help="fail when a round trip has a ratio above its target"
    )
    options = parser.parse_args()
    print_header()
    status = 0
    for benchmark in BENCHMARKS:
        if options.words and not any(word in benchmark.name for word in options.words):
            continue
        result = _run(benchmark, options.sets or benchmark.sets)
        target = TARGETS.get(benchmark.name)
        if options.check and result is not None and target is not None and result.ratio > target:
            print(f"'{benchmark.name}' is above its target of {target}", file=sys.stderr)
            status = 1
    return status


def _run(benchmark: Benchmark, sets: int) -> Result | None:
    reason = benchmark.missing()
    if reason:
        print_left_out(benchmark.name, reason)
        return None
    result = Result([in_fresh_process(benchmark.measure, **benchmark.arguments) for _ in range(sets)])
    print_result(benchmark.name, benchmark.show, result)
    return result


if __name__ == "__main__":
    sys.exit(main())
