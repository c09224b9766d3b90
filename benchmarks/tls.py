"""Encrypted connections beside those that are only authenticated: calls, large data, connecting."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import trustme
from bulk import BYTES, seconds_for_echo
from connect import seconds_until_answer
from processes import DEFINITIONS, pin_to_one_cpu, standalone_server
from report import Set, alternate
from round_trip import seconds_per_call

from easycluster import Client, define_common


@contextmanager
def _encrypted_and_plain() -> Iterator[tuple[partial[Client], partial[Client]]]:
    """Start a standalone server with a certificate; yield what connects with TLS, and what connects without."""
    define_common(DEFINITIONS)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "server.pem")
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
        with standalone_server("--tls-cert", path) as (key, port):
            connect = partial(Client, key, "127.0.0.1", port)
            yield partial(connect, tls="require"), partial(connect, tls="off")


def measure(pinned: bool, rounds: int) -> Set:
    """Measure one set of calls with TLS; the baseline is the same call without."""
    if pinned:
        pin_to_one_cpu()
    with _encrypted_and_plain() as makers, closing(makers[0]()) as tls, closing(makers[1]()) as plain:
        return alternate(
            rounds,
            lambda: seconds_per_call(lambda: tls.call("noop")),
            lambda: seconds_per_call(lambda: plain.call("noop")),
        )


def measure_bulk(rounds: int) -> Set:
    """Measure one set of large data with TLS, there and back; the baseline is the same without."""
    array = np.arange(BYTES // 8, dtype=np.float64)
    with _encrypted_and_plain() as makers, closing(makers[0]()) as tls, closing(makers[1]()) as plain:
        return alternate(
            rounds,
            lambda: seconds_for_echo(partial(tls.call, "echo"), array),
            lambda: seconds_for_echo(partial(plain.call, "echo"), array),
        )


def measure_connect(rounds: int) -> Set:
    """Measure one set of connects with TLS, up to the first answer; the baseline is the same without."""
    with _encrypted_and_plain() as (tls, plain):
        return alternate(rounds, lambda: seconds_until_answer(tls), lambda: seconds_until_answer(plain))
