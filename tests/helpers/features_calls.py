"""The features of `helpers.features` that are ways to call."""

from __future__ import annotations

import array
import pickle
import queue
import threading
from typing import Any

import easycluster
from easycluster import RemoteException, RemoteTraceback, SerializationError, remote_code
from helpers.features import Lacking, Pair, caught, feature

#: Much, for one call.
_LARGE = bytes(range(256)) * (2 << 12)


@feature
def calls(pair: Pair) -> None:
    """Functions, keywords, modules, expressions, blocks."""
    host = pair.client
    assert host.version() == pair.there
    assert (host.add(1), host.add(1, b=5)) == (3, 6)
    assert host.math.factorial(5) == 120
    assert host.eval("1 + 1") == 2
    assert host.execblock("from easycluster import exec_return\nexec_return(7)") == 7


@feature
def definitions(pair: Pair) -> None:
    """Those that come later, too."""
    easycluster.define_common("def late():\n    return 'late ' + version()\n")
    pair.client.update_definitions()
    assert pair.client.late() == f"late {pair.there}"


@feature
def exceptions(pair: Pair) -> None:
    """Of the definitions and built-in ones, with the remote stack trace, and as text."""
    error = caught(remote_code.Broken, pair.client.fail, "on purpose", origexc="quiet")
    assert error.args == ("on purpose",)
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "    raise Broken(text)  # a line to be seen\n" in str(error.__cause__)
    error = caught(FileNotFoundError, pair.client.open, "/nowhere", origexc="quiet")
    assert (error.errno, error.filename) == (2, "/nowhere")
    error = caught(RemoteException, pair.client.fail, "on purpose", origexc=False)
    assert "".join(error.text).endswith("Broken: on purpose\n")


@feature
def chained_exceptions(pair: Pair) -> None:
    """The cause comes along."""
    error = caught(remote_code.Broken, pair.client.fail_in_turn, origexc="quiet")
    assert type(error.__cause__) is KeyError
    assert error.__cause__.args == ("missing",)


@feature
def exception_groups(pair: Pair) -> None:
    """An ExceptionGroup comes whole; where this Python has none, it has a stand-in with its text."""
    error = caught(Exception, pair.client.fail_together, origexc="quiet")
    if isinstance(error, NameError):
        assert "'ExceptionGroup' is not defined" in str(error)
        raise Lacking
    assert (type(error).__name__, str(error)) == ("ExceptionGroup", "both (2 sub-exceptions)")
    if isinstance(error, easycluster.UnknownRemoteError):
        raise Lacking
    one, two = error.exceptions
    assert (type(one), one.args) == (remote_code.Broken, ("one",))
    assert type(two) is FileNotFoundError


@feature
def exception_notes(pair: Pair) -> None:
    """Notes come along, even where this Python does not show them."""
    error = caught(Exception, pair.client.fail_with_note, origexc="quiet")
    if isinstance(error, AttributeError):
        assert "'add_note'" in str(error)
        raise Lacking
    assert error.__notes__[0] == "a note"  # another one names the host


@feature
def server_objects(pair: Pair) -> None:
    """Proxies of server objects: identity, methods, attributes, operators, release."""
    host = pair.client
    counter = host.Counter(3)
    assert counter.add(2) is counter
    assert (counter.value, len(counter)) == (5, 5)
    assert host.same([{"deep": counter}])[0]["deep"] is counter
    plain = host.Plain({"a": 1})
    assert plain.value == {"a": 1}
    assert caught(AttributeError, getattr, plain, "nothing")


@feature
def generators(pair: Pair) -> None:
    """Generators, lazy iterators and files stay there."""
    assert list(pair.client.count(4)) == [0, 1, 2, 3]
    assert list(pair.client.zip("ab", pair.client.map(abs, [-1, 2]))) == [("a", 1), ("b", 2)]
    with pair.client.open("/dev/null") as file:
        assert file.read() == ""


@feature
def calls_in_flight(pair: Pair) -> None:
    """Responses, completion functions, several at once."""
    values: list[Any] = []
    host = pair.client
    responses = [host.add(number, nonblocking=True) for number in range(10)]
    host.add(5, oncomplete=values.append)
    host.fail("text", oncomplete=values.append, onerror=(lambda error, more: values.append(more), "more"))
    done, rest = easycluster.wait(responses)
    assert (len(done), len(rest)) == (10, 0)
    assert [response.wait() for response in responses] == list(range(2, 12))
    assert host.add(1) == 3  # reads on until its own answer, so the functions have been called
    assert values == [7, "more"]


@feature
def threads(pair: Pair) -> None:
    """A server thread for each threadid; the main thread without one."""
    is_main, first = pair.client.thread()
    is_main_too, second = pair.client.thread(threadid=5)
    assert (is_main, is_main_too, first == second) == (True, False, False)
    assert pair.client.thread(threadid=5) == (False, second)
    assert pair.client.thread(threadid=easycluster.SINGLE)[0] is False


@feature
def time_limits(pair: Pair) -> None:
    """A call that does not end in time goes on, and can be waited for again."""
    limited = easycluster.options(pair.client, timeout=0.01)
    error = caught(easycluster.CallTimeout, limited.wait_to_be_let_go)
    pair.client.call("let_go.set", threadid=1)  # before anything fails: the next feature needs the thread
    assert error.response.wait(timeout=30) is True
    assert error.state in ("sent", "started")


@feature
def ThreadedClient(pair: Pair) -> None:  # noqa: N802 -- it is named so in the document
    """Each local thread has its server thread; completion functions are called while nobody waits."""
    host = pair.threaded
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(host.thread()))
    thread.start()
    thread.join()
    assert [is_main for is_main, _ in [host.thread(), *found]] == [True, False]
    values: queue.SimpleQueue[Any] = queue.SimpleQueue()
    host.same("value", oncomplete=values.put)
    assert values.get(timeout=30) == "value"


@feature
def compression(pair: Pair) -> None:
    """A compressed connection carries the same."""
    assert pair.threaded.reverse(bytearray(_LARGE)) == _LARGE[::-1]


@feature
def large_values(pair: Pair) -> None:
    """Megabytes in both directions."""
    assert pair.client.reverse(bytearray(_LARGE)) == _LARGE[::-1]
    assert pair.client.reverse(array.array("H", _LARGE)) == array.array("H", _LARGE)[::-1]


@feature
def buffers_beside_the_pickle(pair: Pair) -> None:
    """Buffers are not copied into the pickle, in both directions."""
    try:
        value = pair.client.beside(pickle.PickleBuffer(memoryview(_LARGE)))
    except SerializationError as error:
        assert "PickleBuffer" in str(error)
        raise Lacking from None
    assert bytes(value) == _LARGE


@feature
def functions_by_value(pair: Pair) -> None:
    """Functions that exist only in the master are called, passed and returned."""
    more = 4
    try:
        assert pair.client.call(lambda number: number + more, 3) == 7
    except SerializationError as error:
        assert f"cpython {pair.there}." in str(error)
        assert f"cpython {pair.here}." in str(error)
        assert "define_common()" in str(error)
        raise Lacking from None
    assert pair.client.same(lambda number: number * more)(5) == 20
