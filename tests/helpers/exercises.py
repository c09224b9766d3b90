"""What must work on every host, in few calls."""

from __future__ import annotations

import array
from typing import Any

import pytest

from easycluster import RemoteException, define_common

#: For `define_common`, before the client is made.
DEFINITIONS = '''
import sys
import threading

class Broken(Exception):
    """An exception of the definitions."""

def version():
    return "%d.%d" % sys.version_info[:2]

def add(a, b=2):
    return a + b

def fail(text):
    raise Broken(text)  # a line to be seen

def fill(values, value):
    for place in range(len(values)):
        values[place] = value
    return values

def thread():
    return threading.current_thread() is threading.main_thread(), threading.get_ident()
'''


def assert_answers(client: Any) -> None:
    """A call, and an exception with its remote stack trace."""
    assert client.add(1) == 3
    with pytest.raises(RemoteException) as caught:
        client.fail("on purpose", origexc=False)
    trace = "".join(caught.value.text)
    assert "    raise Broken(text)  # a line to be seen\n" in trace
    assert trace.endswith("Broken: on purpose\n")
    assert "easycluster_server" not in trace


def assert_works(client: Any) -> None:
    """Calls, exceptions, a new definition, much data in both directions, another thread."""
    assert_answers(client)
    define_common("def late():\n    return 'late ' + version()\n")
    client.update_definitions()
    assert client.late() == "late " + client.version()
    assert client.fill(bytearray(3 << 20), 7) == b"\7" * (3 << 20)
    assert client.fill(array.array("d", bytes(8 << 17)), 0.5) == array.array("d", [0.5]) * (1 << 17)
    is_main, first = client.thread()
    is_main_too, second = client.thread(threadid=5)
    assert (is_main, is_main_too, first == second) == (True, False, False)
