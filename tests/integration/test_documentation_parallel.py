"""The documentation's examples of "Parallel Execution" and "Using ThreadedClient", run word for word.

What had to be mended in an example is listed in the docstring of its test. Its hosts are arranged around it, see
`helpers.documented`.
"""

from __future__ import annotations

import doctest
import sys
from collections.abc import Callable
from typing import Any

from easycluster import eval_multi
from helpers.documented import ADDVALS, Session, corrected
from helpers.servers import Server
from helpers.waiting import wait_until

NONBLOCKING = """\
>>> rmt2 = Client(key, 'otherhost')
>>> r1 = rmt.addvals(5, 8, nonblocking=True)
>>> r2 = rmt2.addvals(14, 18, nonblocking=True)
>>> r1.wait()
13
>>> r2.wait()
32
>>>
"""

CALL_MULTI = """\
>>> call_multi([rmt, rmt2], 'addvals', 2, 3)
[5, 5]
>>>
"""

THREADID = """\
>>> r1 = rmt.addvals(101, 102, nonblocking=True, threadid=1)
>>> r2 = rmt.addvals(222, 333, nonblocking=True, threadid=2)
>>> r3 = rmt.addvals(555, 888, nonblocking=True, threadid=3)
>>> [r1.wait(), r2.wait(), r3.wait()]
[203, 555, 1443]
"""

THREADED_CLIENT = """\
>>> import threading
>>> tc1 = ThreadedClient(key, 'host1')
>>> tc2 = ThreadedClient(key, 'host2')
>>>
>>> def client_thread(id, a, b):
...     print 'Thread %d: starting' % id
...     val1 = tc1.addvals(a, b)
...     print 'Thread %d: tc1 returned %r' % (id, val1)
...     val2 = tc2.addvals(a, b)
...     print 'Thread %d: tc2 returned %r' % (id, val2)
...     print 'Thread %d: finished' % id
...
>>> def run_threads():
...     t1 = threading.Thread(target=client_thread, args=(1, 200, 500))
...     t2 = threading.Thread(target=client_thread, args=(2, 300, 600))
...     t1.start(); t2.start()
...     t1.join(); t2.join()
...
>>> run_threads()
Thread 1: starting
Thread 2: starting
Thread 1: tc1 returned 700
Thread 2: tc1 returned 900
Thread 1: tc2 returned 700
Thread 2: tc2 returned 900
Thread 1: finished
Thread 2: finished
>>>
"""

THREADED_CLIENT_CORRECTED = corrected(
    THREADED_CLIENT,
    ("print 'Thread %d: starting' % id", "print('Thread %d: starting' % id)"),
    ("print 'Thread %d: tc1 returned %r' % (id, val1)", "print('Thread %d: tc1 returned %r' % (id, val1))"),
    ("print 'Thread %d: tc2 returned %r' % (id, val2)", "print('Thread %d: tc2 returned %r' % (id, val2))"),
    ("print 'Thread %d: finished' % id", "print('Thread %d: finished' % id)"),
)


#: The threads of a server but for the one that may read while a call lasts.
THREADS = "[t.name for t in __import__('threading').enumerate()]"


class EachThreadInOrder(doctest.OutputChecker):
    """Compares the lines of each thread: in which order two threads print is nobody's promise."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Return whether each thread printed what it should."""
        return self._by_thread(want) == self._by_thread(got)

    def _by_thread(self, text: str) -> list[str]:
        return sorted(text.splitlines(), key=lambda line: line.partition(":")[0])


def print_whole_lines(line: str) -> None:
    """Print a line in one piece, so that those of two threads do not mix."""
    sys.stdout.write(f"{line}\n")


def test_examples(documented_server: Server, session: Session) -> None:
    """The section "Parallel Execution", typed from its first line to its last. Nothing had to be mended."""
    session.run(ADDVALS)
    session.run(NONBLOCKING)
    session.run(CALL_MULTI)
    session.run(THREADID)

    rmt, rmt2 = session.names["rmt"], session.names["rmt2"]
    assert (rmt.peername, rmt2.peername) == ("localhost:11999", "otherhost:11999")
    assert eval_multi([rmt, rmt2], "addvals(2, 3)") == [5, 5]


def test_examples_over_each_transport(
    documented_server: Server, session: Session, connect: Callable[..., Any]
) -> None:
    """The same over each transport.

    Mended: `Client(...)` is another connection.
    """
    session.names["connect"] = connect

    session.run(corrected(ADDVALS, ("Client(key, 'localhost')", "connect()")))
    session.run(corrected(NONBLOCKING, ("Client(key, 'otherhost')", "connect()")))
    session.run(CALL_MULTI)
    session.run(THREADID)


def test_threaded_client(documented_server: Server, session: Session) -> None:
    """The section "Using ThreadedClient", typed from its first line to its last.

    Mended: `print` is a function; the two threads print in any order.
    """
    session.names["print"] = print_whole_lines

    session.run(ADDVALS)
    session.run(THREADED_CLIENT_CORRECTED, EachThreadInOrder())

    # The threads have ended, so those that stood for them on the servers end, too.
    for client in (session.names["tc1"], session.names["tc2"]):
        wait_until(lambda client=client: client.eval(THREADS) == ["MainThread"])  # type: ignore[misc]


def test_threaded_client_over_each_transport(
    documented_server: Server, session: Session, connect: Callable[..., Any]
) -> None:
    """The same over each transport.

    Mended: as above; and `ThreadedClient(...)` is another connection.
    """
    session.names["print"] = print_whole_lines
    session.names["connect"] = connect

    session.run(corrected(ADDVALS, ("Client(key, 'localhost')", "connect()")))
    text = THREADED_CLIENT_CORRECTED
    for host in ("host1", "host2"):
        text = corrected(text, (f"ThreadedClient(key, '{host}')", "connect(ThreadedClient)"))
    session.run(text, EachThreadInOrder())
