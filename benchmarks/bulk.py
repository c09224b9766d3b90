"""Large data: how long 64 MiB of NumPy array take to go there and come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from processes import contestants
from report import Set, alternate

BYTES = 64 << 20


def seconds_for_echo(echo: Callable[[Any], Any], array: Any) -> float:
    """Return how long an array takes there and back."""
    begin = perf_counter()
    answer = echo(array)
    seconds = perf_counter() - begin
    if answer[-1] != array[-1]:
        raise RuntimeError("the echo is not what was sent")
    return seconds


def measure(transport: str, rounds: int) -> Set:
    """Measure one set; run it in a fresh process."""
    array = np.arange(BYTES // 8, dtype=np.float64)
    with contestants(transport, bulk=True) as (client, peer):
        return alternate(
            rounds,
            lambda: seconds_for_echo(client.echo, array),
            lambda: seconds_for_echo(partial(peer.call, "echo"), array),
        )
