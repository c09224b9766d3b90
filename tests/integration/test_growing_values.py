"""A host that is trusted with its results only cannot make the master take memory that it has not sent."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import easycluster
from easycluster import Client, DeserializationError
from easycluster_protocol._wire.messages import Message
from helpers.malicious import (
    KEY,
    MaliciousServer,
    Raw,
    built,
    called,
    connect_guarded as connect,
    name,
    pickled,
    put,
    result,
)
from helpers.peak_memory import peak, reset_peak

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read in /proc"),
    pytest.mark.usefixtures("no_definitions"),
]

MIB = 1 << 20

#: Memory that any attack here may cost for a moment, beside a multiple of its size.
ALLOWED = 64 * MIB

VALUES = "easycluster_protocol._values."

ARRAY = called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), (0,), b"b")


def uses(value: Any, use: bytes, times: int) -> bytes:
    """Return a pickle that has a value once, and something so many times that uses it."""
    return pickled(Raw(b"(" + put(value) + b"\x94" + use * times + b"t"))


NONES = Raw(b"](" + b"N" * 10_000 + b"e")
ATTRIBUTES = Raw(b"}(" + b"".join(put(f"a{n}") + b"N" for n in range(5000)) + b"u")
RANGE = called(name("builtins", "range"), 10**12)
UNPICKLE = called(name("builtins", "getattr"), name("zoneinfo", "ZoneInfo"), "_unpickle")

#: Few bytes that stand for many.
GROWING = {
    "copies of bytes": uses(b"x" * MIB, name("builtins", "bytearray") + b"h\0\x85R", 2000),
    "copies of a list": uses(NONES, name("collections", "deque") + b"h\0\x85R", 20_000),
    "sets of a list": uses(NONES, name("builtins", "frozenset") + b"h\0\x85R", 20_000),
    "copies of a dictionary": uses(ATTRIBUTES, name("collections", "Counter") + b"h\0\x85R", 5000),
    "copies of attributes": uses(ATTRIBUTES, name("types", "SimpleNamespace") + b")Rh\0b", 5000),
    "texts written visibly": uses("\x1b" * 100_000, name("builtins", "ValueError") + b"h\0\x85R", 2000),
    "exceptions in exceptions": uses(
        pickled(NONES), name(VALUES + "failures", "rebuild_link") + b"}" + put("pickled") + b"h\0s\x85R", 5000
    ),
    "time zones": pickled(
        Raw(b"(" + UNPICKLE + b"\x94" + (b"h\0" + put("Europe/Paris") + b"\x89\x86R") * 9000 + b"t")
    ),
    "group of exceptions": pickled(
        called(name(VALUES + "exceptions", "rebuild"), name("builtins", "ExceptionGroup"), ("x", RANGE))
    ),
    "items without bytes": pickled(
        built(
            ARRAY,
            (
                *(1, (1 << 40,)),
                built(called(name("numpy", "dtype"), "V0", False, True), (3, "|", None, None, None, 0, 1, 0)),
                *(False, b""),
            ),
        )
    ),
}


@pytest.mark.parametrize("body", GROWING.values(), ids=GROWING)
def test_values_that_grow(body: bytes) -> None:
    """A small pickle makes no large values: what is called finds room for its arguments, or is refused."""
    before = reset_peak()
    with MaliciousServer(result(body)) as server, connect(server) as client:
        host: Any = client
        with pytest.raises(DeserializationError):
            host.attack()
        assert peak() - before < ALLOWED + 300 * len(body)
        assert host.fine() == "fine"


class Trusted(bytearray):
    """A class that a script trusts."""


@pytest.mark.parametrize("size", [10**12, RANGE], ids=["number", "range"])
def test_trusted_bytes_of_any_size(size: Any) -> None:
    """A number, or a range, is no way to make a trusted class take memory that was not sent."""
    body = pickled(called(name(Trusted.__module__, "Trusted"), size))
    with MaliciousServer(result(body)) as server, connect(server) as client:
        easycluster.trust(client, Trusted)
        host: Any = client
        before = reset_peak()
        with pytest.raises(DeserializationError, match="far more memory than its size explains"):
            host.attack()
        assert peak() - before < ALLOWED
        assert host.fine() == "fine"


def test_question_without_end() -> None:
    """A host that is not restricted, and answers each question by what cannot be rebuilt, is asked once more only."""
    questions: list[int] = []

    def answer(server: MaliciousServer, call: Message) -> None:
        questions.append(call.request)
        result(pickled(name("numpy_of_nobody", "array")))(server, call)

    with MaliciousServer(answer) as server, Client(KEY, "127.0.0.1", server.port) as client:
        host: Any = client
        with pytest.raises(DeserializationError, match="numpy_of_nobody"):
            host.attack()
        assert host.fine() == "fine"
    assert len(questions) == 2
