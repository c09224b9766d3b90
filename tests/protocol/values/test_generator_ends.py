"""The end of a generator as an exception that is rebuilt: the interpreter itself looks for its value."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest

from easycluster_protocol._values.failures import pack_exception, unpack_exception

#: `yield from` takes the value without asking whether there is one; a crash must not take the tests along.
YIELD_FROM = """
import sys
from easycluster_protocol._values.failures import unpack_exception

class Iterator:
    def __iter__(self):
        return self
    def __next__(self):
        raise unpack_exception(bytes.fromhex(sys.argv[1]), "h")[0]

def outer():
    print((yield from Iterator()))

list(outer())
"""


#: Not known where it arrives.
Subclass: Any = type("Subclass", (StopIteration,), {"__module__": "nowhere"})


@pytest.mark.parametrize("value", [5, None, (1, 2), "text"], ids=repr)
def test_values(value: Any) -> None:
    """A value that can be pickled is the same at the other end."""
    error, _ = unpack_exception(pack_exception(StopIteration(value), 5), "h")

    assert isinstance(error, StopIteration)
    assert error.value == value


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (StopIteration(threading.Lock()), "<unlocked _thread.lock"),
        (Subclass("own"), "own"),
        (StopIteration(), "None"),
    ],
    ids=["unpicklable", "subclass", "none"],
)
def test_yield_from(error: StopIteration, says: str) -> None:
    """However an end had to be rebuilt, ``yield from`` finds a value in it."""
    body = pack_exception(error, 4).hex()
    result = subprocess.run(
        [sys.executable, "-c", YIELD_FROM, body], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(says)
