"""Responses: waiting for an answer, its value or error, and the functions that are called with it."""

from __future__ import annotations

import copy
import pickle
import platform
import re
import weakref
from functools import partial
from typing import Any

import pytest

from easycluster_client import _deadlines
from easycluster_client._calls import response as response_module
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import reading
from easycluster_protocol._objects.proxies import find_proxy
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import (
    CallTimeout,
    ConnectionLost,
    DeserializationError,
    RemoteException,
    RemoteTraceback,
)
from helpers.clocks import Clock
from helpers.fake_proxies import NAMES
from helpers.hand_made import HandMadeServer, Waiter
from helpers.hand_made_client import HandMadeClient, Trap, failure_message, raise_it, value_message
from helpers.waits import NotedWait


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
    return HandMadeClient(server)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """Responses wait by a clock of which all time passes at once."""
    clock = Clock()
    noted = NotedWait(wait=clock.wait)
    monkeypatch.setattr(response_module, "time", clock)
    monkeypatch.setattr(_deadlines, "time", clock)
    monkeypatch.setattr(reading, "wait", noted)
    return noted


class Value:
    """Counts how often it is unpickled."""

    made = 0

    def __setstate__(self, state: Any) -> None:
        Value.made += 1

    def __getstate__(self) -> Any:
        return 1


# A new response.


def test_pending_response(client: HandMadeClient) -> None:
    """A response shows its call, its server and whether the answer is there; its number is that of the call."""
    first, second = client.request(), client.request()

    assert repr(second) == "<NonblockingResponse to f on the server: pending>"
    assert (first.request_id, second.request_id) == (1, 2)
    assert not second.have_response
    assert second.client is client
    client.server.answer(second)
    client.server.session.receive_available()
    assert repr(second) == "<NonblockingResponse to f on the server: done>"
    assert second.have_response
    assert not first.have_response


@pytest.mark.parametrize("action", [pickle.dumps, copy.copy, copy.deepcopy])
def test_response_cannot_be_copied(client: HandMadeClient, action: Any) -> None:
    """A response cannot be pickled or copied, and says what can be."""
    said = (
        "<NonblockingResponse to f on the server: pending> cannot be sent, pickled or copied: it belongs to a"
        " connection of this process; its value, which wait() returns, can be"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(said)}$"):
        action(client.request())


@pytest.mark.parametrize(
    ("options", "watched"),
    [({}, False), ({"nonblocking": True}, False), ({"oncomplete": print}, True), ({"onerror": print}, True)],
)
def test_watched_response(client: HandMadeClient, options: Any, watched: bool) -> None:
    """A response with a completion function of either kind is watched, others are not."""
    assert client.request(**options).call_is_watched is watched


@pytest.mark.parametrize(
    ("option", "value", "error", "said"),
    [
        ("oncomplete", 1, TypeError, "oncomplete must be a function, "),
        ("onerror", (), TypeError, "onerror must be a function, "),
        ("timeout", "1", TypeError, "timeout must be a number of seconds, or None for no limit, not '1'"),
        ("timeout", -1, ValueError, "timeout must be a number of seconds from 0 on, not -1"),
    ],
)
def test_options_that_are_refused(
    client: HandMadeClient, option: str, value: Any, error: type[Exception], said: str
) -> None:
    """An option with a wrong value is refused before anything is sent."""
    with pytest.raises(error, match=f"^{said}"):
        client.request(**{option: value})

    assert client.server.session.outstanding == 0


def test_descriptor(client: HandMadeClient) -> None:
    """The descriptor is that of the connection; after its end there is an error of its own each time."""
    response = client.request()
    descriptor = response.fileno()
    client.server.close()

    assert descriptor > 0
    errors: list[ConnectionLost] = []
    for _ in range(2):
        with pytest.raises(ConnectionLost) as caught:
            response.fileno()
        errors.append(caught.value)
    assert [str(error) for error in errors] == [str(client.server.session.error)] * 2
    assert "closed by the test" in str(errors[0])
    assert len({*map(id, errors), id(client.server.session.error)}) == 3


def test_reading_is_left_to_the_client(client: HandMadeClient) -> None:
    """The client reads, and waits unless it is told not to."""
    response = client.request()

    assert response.read_response()
    assert response.read_response(block=False)
    assert client.reads == [True, False]


# Waiting.


def test_value(client: HandMadeClient) -> None:
    """Waiting reads the answer and returns its value, the same one each time: it is unpickled once."""
    Value.made = 0
    response = client.request()
    client.server.answer(response, value=Value())
    value = response.wait()

    assert isinstance(value, Value)
    assert response.wait() is value
    assert Value.made == 1


def test_value_with_buffers(client: HandMadeClient) -> None:
    """Buffers that travel beside the pickle belong to the value."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(pickle.PickleBuffer(b"large"), 5, buffer_callback=buffers.append)
    message = Message(m.RESULT, 0, body, buffers=[b"large"])

    assert bytes(client.answered(message).wait()) == b"large"
    taken = client.request()
    assert bytes(taken.call_take_value(message)) == b"large"


def test_limit_that_is_over(client: HandMadeClient, waits: NotedWait) -> None:
    """With the limit 0 nothing is waited for or asked; the error has the response, whose call goes on."""
    response = client.request()
    with pytest.raises(CallTimeout) as caught:
        response.wait(timeout=0)

    assert str(caught.value) == (
        "no answer from f on the server within 0 seconds: the call was sent, and goes on there"
    )
    assert (caught.value.state, caught.value.response) == ("sent", response)
    client.server.answer(response)
    assert response.wait(timeout=0) == "value"
    assert client.server.receive(1) == [Message(m.CALL, 1)]


@pytest.mark.parametrize(
    ("limit", "first", "last"), [(3.0, 2.5, 0.5), (1.0, 0.5, 0.5), (0.5, 0.25, 0.25)], ids=str
)
def test_server_is_asked_before_the_limit(
    client: HandMadeClient, waits: NotedWait, limit: float, first: float, last: float
) -> None:
    """Half a second before the limit, or after half of a short one, the server is asked about the call."""
    response = client.request()
    with pytest.raises(CallTimeout, match=f"within {limit:g} seconds: the call was sent"):
        response.wait(timeout=limit)

    assert [wait for wait in waits.timeouts if wait] == [first, last]
    assert client.server.receive(2)[1:] == [Message(m.STATUS_QUERY, response.request_id)]


def test_call_that_has_begun(client: HandMadeClient, waits: NotedWait) -> None:
    """If the server says that it has begun the call the error says so."""
    response = client.request(timeout=2)
    client.server.send(Message(m.STATUS, response.request_id, m.STARTED))
    with pytest.raises(CallTimeout, match="within 2 seconds: the call was started, and goes on") as caught:
        response.wait()

    assert caught.value.state == "started"


def test_limit_of_the_call(client: HandMadeClient, waits: NotedWait) -> None:
    """The limit of a wait goes before that of the call, which counts for waits that have none."""
    response = client.request(timeout=2)
    with pytest.raises(CallTimeout, match="within 2 seconds"):
        response.wait()
    with pytest.raises(CallTimeout, match="within 4 seconds"):
        response.wait(timeout=4)
    with pytest.raises(CallTimeout, match="within 0 seconds"):
        response.wait(timeout=0)

    assert [wait for wait in waits.timeouts if wait] == [1.5, 0.5, 3.5, 0.5]


def test_answer_before_the_question(client: HandMadeClient, waits: NotedWait) -> None:
    """An answer in time ends the waiting, and the server is asked nothing."""
    response, second = client.request(), client.request()
    client.server.answer(response)

    assert response.wait(timeout=3) == "value"
    client.server.session.request(second, m.CALL, b"next", (), 0)
    assert [message.kind for message in client.server.receive(3)] == [m.CALL] * 3


def test_answer_after_the_question(client: HandMadeClient, waits: NotedWait) -> None:
    """An answer that comes in the last half second is in time."""
    response = client.request()

    def act() -> None:
        if len([wait for wait in waits.timeouts if wait]) == 2:
            client.server.answer(response)

    waits.act = act
    assert response.wait(timeout=3) == "value"


def test_completion_functions_of_others_while_waiting(client: HandMadeClient) -> None:
    """A thread that waits calls the completion functions of the answers that it reads, and goes on waiting."""
    got: list[Any] = []
    last = client.request()

    def complete(value: Any) -> None:
        got.append(value)
        client.server.answer(last, value="last")

    other = client.request(oncomplete=complete)
    client.server.answer(other, value="first")

    assert last.wait() == "last"
    assert got == ["first"]


def test_completion_functions_of_later_answers_while_waiting(client: HandMadeClient) -> None:
    """A thread that waits and has called a completion function calls those of later answers too."""
    last = client.request()
    second = client.request(oncomplete=lambda _: client.server.answer(last, value="last"))
    first = client.request(oncomplete=lambda _: client.server.answer(second))
    client.server.answer(first)

    assert Waiter(last).result() == "last"


def test_answers_that_another_thread_deals_with(
    client: HandMadeClient, waits: NotedWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that finds no answer to deal with, as another one takes them, calls the functions of the next ones."""
    run_completions, last = client.calls.run_completions, client.request()
    counts = [0]

    def run(session: Any) -> int:
        return counts.pop() if counts else run_completions(session)

    monkeypatch.setattr(client.calls, "run_completions", run)
    client.answered(value_message(None), oncomplete=lambda _: client.server.answer(last))

    assert last.wait(timeout=3) == "value"
    assert not any(waits.timeouts)


def test_completion_functions_while_waiting_inside_of_one(client: HandMadeClient) -> None:
    """A thread that waits inside a completion function leaves those of other answers until it has ended."""
    events: list[str] = []
    inner, last = client.request(), client.request()

    def complete(value: Any) -> None:
        events.append(f"begin {value}")
        client.server.answer(second, value=2)
        client.server.answer(inner, value="inner")
        events.append(inner.wait())
        events.append(f"end {value}")
        client.server.answer(last)

    first = client.request(oncomplete=complete)
    second = client.request(oncomplete=lambda value: events.append(f"second {value}"))
    client.server.answer(first, value=1)
    last.wait()

    assert events == ["begin 1", "inner", "end 1", "second 2"]


def test_receipts_are_given_back_before_waiting(client: HandMadeClient) -> None:
    """Who waits gives back the receipts of proxies that are gone first; an answered response gives back none."""
    response = client.request()
    references = client.server.session.references
    references.drop([7])
    client.server.answer(response)
    response.wait()
    references.drop([8])
    response.wait()

    assert client.server.receive(2)[1].releases == [(7, 1)]
    assert list(references.garbage) == [[8]]


# Errors of remote code.


@pytest.mark.parametrize(
    ("option", "argument", "original", "reported"),
    [
        (True, None, True, 1),
        (False, None, False, 0),
        ("quiet", None, True, 0),
        (None, None, True, 1),
        (0, None, False, 0),
        (True, False, False, 0),
        (False, True, True, 1),
        (False, "quiet", True, 0),
        ("quiet", False, False, 0),
        ("quiet", True, True, 1),
    ],
)
def test_modes_of_errors(
    client: HandMadeClient, option: Any, argument: Any, original: bool, reported: int
) -> None:
    """The wait says whether the original is raised and whether it is printed, else the call does."""
    response = client.answered(failure_message(ValueError("bad")), origexc=option)
    with pytest.raises(ValueError if original else RemoteException) as caught:
        response.wait(argument)

    assert len(client.reported) == reported
    for each in client.reported:
        assert each.orig is caught.value
        assert each.text == ["ValueError: bad\n"]


@pytest.mark.parametrize("options", [{}, {"threadid": 1}], ids=str)
def test_original_is_the_default(client: HandMadeClient, options: dict[str, Any]) -> None:
    """Without that option the original is printed and raised, with the place where it was raised first."""
    response = client.answered(failure_message(ValueError("bad")), **options)
    with pytest.raises(ValueError, match="^bad") as caught:
        response.wait()

    assert len(client.reported) == 1
    assert str(caught.value) == "bad"
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert caught.value.__cause__.host == "the server"


def test_remote_exception(client: HandMadeClient) -> None:
    """A `RemoteException` has the original and its text, and the cause of the original."""
    response = client.answered(failure_message(ValueError("bad")))
    with pytest.raises(RemoteException, match="^ValueError: bad") as caught:
        response.wait(origexc=False)

    error = caught.value
    assert str(error) == "ValueError: bad"
    assert isinstance(error.orig, ValueError)
    assert error.__cause__ is error.orig.__cause__ is not None
    with pytest.raises(ValueError, match="bad") as again:
        response.wait(origexc="quiet")
    assert again.value is error.orig


def test_error_is_reported_once(client: HandMadeClient) -> None:
    """Its stack trace is printed the first time that it is raised, and not before or after that."""
    response = client.answered(failure_message(ValueError("bad")))
    response.exception()
    with pytest.raises(RemoteException):
        response.wait(origexc=False)
    assert client.reported == []
    for wait in (response.result, response.wait, response.result):
        with pytest.raises(ValueError, match="bad"):
            wait()

    assert len(client.reported) == 1


def test_stack_trace_does_not_grow(client: HandMadeClient) -> None:
    """An error that is raised repeatedly has the stack trace of the last time only."""
    response = client.answered(failure_message(ValueError("bad")), origexc="quiet")
    depths: list[int] = []
    for _ in range(3):
        with pytest.raises(ValueError, match="bad") as caught:
            response.wait()
        depths.append(len(caught.traceback))

    assert len(set(depths)) == 1


@pytest.mark.parametrize("origexc", [True, False, "quiet"])
def test_error_holds_no_response(client: HandMadeClient, origexc: Any) -> None:
    """An error that a script keeps does not keep its response."""
    response = client.answered(failure_message(ValueError("bad")))
    reference = weakref.ref(response)
    with pytest.raises(Exception, match="bad") as caught:
        response.wait(origexc)
    del response
    client.reported.clear()

    assert caught.value is not None
    assert reference() is None


@pytest.mark.parametrize("origexc", [True, False, "quiet"])
def test_lost_connection(client: HandMadeClient, origexc: Any) -> None:
    """The end of the connection is raised as it is, and not printed, whatever the call says of remote errors."""
    response = client.request(origexc=origexc)
    client.server.close()
    with pytest.raises(ConnectionLost, match="closed by the test") as caught:
        response.wait()

    assert client.reported == []
    assert response.exception() is caught.value is response.call_loss


@pytest.mark.parametrize(
    ("origexc", "wrapped"), [(True, False), ("quiet", False), (None, False), (False, True), (0, True)]
)
def test_exception_is_returned(client: HandMadeClient, origexc: Any, wrapped: bool) -> None:
    """The error that waiting would raise is returned, and not printed."""
    error = client.answered(failure_message(ValueError("bad")), origexc=origexc).exception()

    assert isinstance(error, RemoteException if wrapped else ValueError)
    assert str(error) == ("ValueError: bad" if wrapped else "bad")
    assert client.reported == []
    assert client.answered(value_message(None), origexc=origexc).exception() is None


# Answers that cannot be rebuilt.

PYTHON = f"Python {platform.python_version()}"


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit("bad"), MemoryError("bad")], ids=repr)
@pytest.mark.parametrize("take", ["wait", "value"])
def test_value_that_cannot_be_rebuilt(client: HandMadeClient, error: BaseException, take: str) -> None:
    """What unpickling raises, even the end of the program, is an error of the call, the same one each time."""
    message = value_message(Trap(raise_it, error))
    response = client.answered(message, origexc=False)
    said = (
        rf"the result of f on the server arrived but cannot be rebuilt here \({PYTHON}\): {type(error).__name__}: bad"
        rf" \(it was sent by {PYTHON}\)"
    )
    with pytest.raises(DeserializationError, match=f"^{said}$") as caught:
        response.wait() if take == "wait" else response.call_take_value(message)

    assert type(caught.value.__cause__) is type(error)
    with pytest.raises(DeserializationError) as again:
        response.wait()
    assert again.value is caught.value
    assert client.reported == []


Failures: list[str] = []


def fail() -> None:
    """Note the failure."""
    Failures.append("bad")
    raise ValueError("bad")


def test_value_that_cannot_be_rebuilt_is_unpickled_once(client: HandMadeClient) -> None:
    """A pickle whose code has failed is not run again, however often its value is taken."""
    Failures.clear()
    message = value_message(Trap(fail))
    response = client.answered(message)
    for _ in range(2):
        with pytest.raises(DeserializationError, match="ValueError: bad "):
            response.call_take_value(message) if not Failures else response.wait()

    assert Failures == ["bad"]


Interrupts: list[BaseException] = []


def interrupt() -> str:
    """Raise an interrupt if there is one."""
    if Interrupts:
        raise Interrupts.pop()
    return "value"


def test_interrupt_while_a_value_is_unpickled(client: HandMadeClient) -> None:
    """An interrupt in the middle of unpickling loses nothing: the value can be taken again."""
    response = client.answered(value_message(Trap(interrupt)))
    Interrupts.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        response.wait()

    assert response.wait() == "value"


def test_value_that_could_not_be_received(client: HandMadeClient) -> None:
    """An answer for which there was no memory is an error of the call, however its value is taken."""
    for kind in (m.RESULT, m.FAILURE):
        response = client.request()
        message = Message(kind, response.request_id, b"")
        message.damage = "no memory for 7 bytes"
        response.call_answer, response.call_is_answered = message, True
        with pytest.raises(DeserializationError) as caught:
            response.call_take_value(message)

        assert str(caught.value) == (
            f"the result of f on the server arrived but cannot be rebuilt here ({PYTHON}):"
            f" MemoryError: no memory for 7 bytes (it was sent by {PYTHON})"
        )


def test_error_that_cannot_be_rebuilt(client: HandMadeClient) -> None:
    """An answer that should describe an error and does not is an error of the call."""
    response = client.answered(Message(m.FAILURE, 0, b"junk"), origexc=False)
    with pytest.raises(
        DeserializationError, match="^the exception that f raised on the server arrived but cannot be rebuilt"
    ):
        response.wait()


# Answers that name server objects.


@pytest.mark.parametrize("take", ["wait", "value"])
def test_value_that_names_an_object(client: HandMadeClient, take: str) -> None:
    """An answer that names a server object has its proxy, which is that of the connection."""
    message = Message(m.RESULT, 0, pickle.dumps(Trap(find_proxy, 7, NAMES)), references=[7])
    response = client.answered(message)
    assert response.call_answer is not None
    proxy = response.wait() if take == "wait" else response.call_take_value(response.call_answer)

    assert proxy is client.server.session.references.find_live_proxy(7)
    assert proxy is not None
    assert list(client.server.session.references.garbage) == []


def test_error_that_names_an_object(client: HandMadeClient) -> None:
    """The error of an answer that names a server object may have its proxy."""
    message = failure_message(ValueError("bad"))
    link = pickle.loads(message.body)
    link[0]["pickled"] = pickle.dumps(Trap(StopIteration, Trap(find_proxy, 7, NAMES)))
    response = client.answered(Message(m.FAILURE, 0, pickle.dumps(link), references=[7]), origexc="quiet")
    error = response.exception()

    assert isinstance(error, StopIteration)
    assert error.value is client.server.session.references.find_live_proxy(7)


def test_proxies_of_an_answered_call(client: HandMadeClient) -> None:
    """A response lets go of the answer and of the proxies that its call was given when it has been unpickled."""
    response = client.request()
    response.call_proxies = [object()]
    client.server.answer(response)
    response.call_wait(None)
    held, message = response.call_proxies, response.call_answer
    response.wait()

    assert held
    assert message is not None
    assert message.body != b""
    assert response.call_proxies is None
    assert response.call_answer is not None
    assert response.call_answer.body == b""


# Completion functions.


def complete(client: HandMadeClient, answer: Message | None, **options: Any) -> NonblockingResponse:
    """Answer a call, or end its connection, and call its completion functions."""
    if answer is None:
        response = client.request(**options)
        client.server.close()
    else:
        response = client.answered(answer, **options)
    client.calls.run_completions(client.server.session)
    return response


def noting(calls: list[Any], name: str) -> Any:
    """A completion function, with an argument, that notes its calls."""
    return (lambda *args: calls.append(args)), name


@pytest.mark.parametrize(
    ("given", "value", "error"),
    [
        (["oncomplete"], "oncomplete", "oncomplete"),
        (["onerror"], None, "onerror"),
        (["oncomplete", "onerror"], "oncomplete", "onerror"),
    ],
    ids=str,
)
def test_which_function_is_called(
    client: HandMadeClient, given: list[str], value: str | None, error: str
) -> None:
    """``onerror`` gets errors only; ``oncomplete`` gets values, and errors if there is no ``onerror``."""
    calls: list[Any] = []
    options = {name: noting(calls, name) for name in given}
    complete(client, value_message(7), **options)

    assert calls == ([] if value is None else [(7, value)])
    calls.clear()
    complete(client, failure_message(ValueError("bad")), **options)
    ((got, name),) = calls
    assert name == error
    assert isinstance(got, RemoteException)
    assert isinstance(got.orig, ValueError)
    assert got.text == ["ValueError: bad\n"]
    assert client.reported == []


def test_completion_function_gets_the_end_of_the_connection(client: HandMadeClient) -> None:
    """Completion functions get every error as a `RemoteException`, with a text; the loss of a connection, too."""
    calls: list[Any] = []
    response = complete(client, None, oncomplete=calls.append)
    (got,) = calls

    assert isinstance(got, RemoteException)
    assert got.orig is response.call_loss
    assert got.text == [f"OutcomeUnknown: {response.call_loss}\n"]


def test_callbacks_come_after_the_completion_function(client: HandMadeClient) -> None:
    """The callbacks get the response, after the completion function, in their order, each once."""
    calls: list[Any] = []

    def note(number: int, done: Any) -> None:
        calls.append((number, done))

    response = client.request(oncomplete=calls.append)
    for number in (1, 2, 1):
        response.add_done_callback(partial(note, number))
    client.server.answer(response)
    client.server.session.receive_available()
    client.calls.run_completions(client.server.session)
    response.call_complete()

    assert calls == ["value", (1, response), (2, response), (1, response), "value"]


def test_callbacks_without_a_completion_function(client: HandMadeClient) -> None:
    """A response that only has callbacks is not unpickled for them, and an error in one does not stop the next."""
    Value.made = 0
    calls: list[Any] = []
    response = client.request()
    response.add_done_callback(lambda _: 1 / 0)
    response.add_done_callback(calls.append)
    client.server.answer(response, value=Value())
    client.server.session.receive_available()
    client.calls.run_completions(client.server.session)

    assert calls == [response]
    assert Value.made == 0
