"""From a call to its message and back: options, values, waiting, completion functions and definitions."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import easycluster
from easycluster_client import _deadlines
from easycluster_client._calls import response as response_module
from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.proxy_state import ProxyState
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import limited_channel, reading
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, ConnectionLost, RemoteException, SerializationError
from helpers.checkpoints import places, strike
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
    return HandMadeClient(server)


def work(*arguments: Any) -> None:
    """A function that the server finds by its name."""


# From a call to its message.


def test_call_of_a_global(client: HandMadeClient) -> None:
    """A call sends the name, arguments and keywords, in the default thread, and returns the value of the answer."""
    client.answer(1, "value")
    first = client.calls.call("f", (1, 2), {})
    client.answer(2, "another")
    second = client.calls.call("g.h", (), {"key": 3})

    assert (first, second) == ("value", "another")
    assert client.sent(2) == [(0, ("f", (1, 2), {})), (0, ("g.h", (), {"key": 3}))]
    assert [message.kind for message in client.server.received] == [m.CALL] * 2


def test_call_of_a_function(client: HandMadeClient) -> None:
    """A function of this process is sent by its name; messages call it by that."""
    client.answer(1, "value")
    response = client.calls.call(work, (), {"nonblocking": True})

    assert response.wait() == "value"
    assert client.sent(1) == [(0, (work, (), {}))]
    assert response.call_label == "work"


class Unnamed:
    """Can be called, and has no name."""

    def __call__(self) -> None:
        """Do nothing."""


def test_call_of_an_object(client: HandMadeClient) -> None:
    """Any other object that can be called is named by its class."""
    response = client.calls.call(Unnamed(), (), {"nonblocking": True})

    assert response.call_label == "Unnamed"


@pytest.mark.parametrize("call", [CallMaker.call, CallMaker.raw_call], ids=["call", "raw_call"])
def test_call_of_what_cannot_be_called(client: HandMadeClient, call: Callable[..., Any]) -> None:
    """Only functions and their names can be called; the error shows the value, and nothing is sent."""
    with pytest.raises(TypeError) as caught:
        call(client.calls, 7, (), {}, *([{}] if call is CallMaker.raw_call else []))

    assert str(caught.value) == "the target of a call must be a function or the name of one, not 7"
    assert client.server.session.outstanding == 0


def test_options_are_taken_out_of_the_keywords(client: HandMadeClient) -> None:
    """Of the keywords of a call five are its own, and the rest the function's."""
    response = client.calls.call(
        "f",
        (),
        {
            "threadid": 7,
            "origexc": "quiet",
            "nonblocking": 1,
            "oncomplete": None,
            "onerror": None,
            "timeout": 3,
        },
    )

    assert isinstance(response, NonblockingResponse)
    assert client.sent(1) == [(7, ("f", (), {"timeout": 3}))]
    assert response.call_label == "f"
    assert response.call_timeout is None


def test_options_beside_the_keywords(client: HandMadeClient) -> None:
    """Where the function's keywords stand apart, they are all the function's."""
    response = client.calls.raw_call(
        "f", (1,), {"threadid": 7}, {"nonblocking": True, "threadid": 8, "timeout": 3}
    )
    other = client.calls.raw_call(work, (), {}, {"nonblocking": True})

    assert client.sent(2) == [(8, ("f", (1,), {"threadid": 7})), (0, (work, (), {}))]
    assert (response.call_label, response.call_timeout, other.call_label) == ("f", 3, "work")


def test_methods_of_objects(client: HandMadeClient) -> None:
    """A method is called by the number of its object and its name, an operation by that of the root object."""
    client.calls.invoke(5, "method", (1,), {"nonblocking": 2}, {"nonblocking": True, "threadid": 3})
    client.calls.operation("eval", ("1+1",), {"nonblocking": True})
    response = client.calls.request(m.INVOKE, (6, "other", ()), {"nonblocking": True, "key": 1}, "label")
    client.answer(4, 2)
    value = client.calls.operation("eval", ("1+1",))

    assert client.sent(4) == [
        (3, (5, "method", (1,), {"nonblocking": 2})),
        (0, (0, "eval", ("1+1",), {})),
        (0, (6, "other", (), {"key": 1})),
        (0, (0, "eval", ("1+1",), {})),
    ]
    assert [message.kind for message in client.server.received] == [m.INVOKE] * 4
    assert (response.call_label, value) == ("label", 2)


def test_label_of_a_method(client: HandMadeClient) -> None:
    """Messages call a method and an operation by their names."""
    invoked = client.calls.invoke(5, "method", (), {}, {"nonblocking": True})
    operated = client.calls.operation("eval", (), {"nonblocking": True})

    assert (invoked.call_label, operated.call_label) == ("method", "eval")


def test_default_thread(client: HandMadeClient) -> None:
    """Calls without a thread go to the default thread, whether they have other options or not."""
    client.calls.default_thread = 9
    client.answer(2, None)
    client.calls.call("f", (), {"nonblocking": True})
    client.calls.call("f", (), {})
    client.calls.call("f", (), {"nonblocking": True, "threadid": 0})

    assert [thread for thread, _ in client.sent(3)] == [9, 9, 0]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"threadid": "one"}, "threadid must be an integer"),
        ({"oncomplete": 7}, "oncomplete must be a function"),
        ({"onerror": 7}, "onerror must be a function"),
        ({"timeout": "long"}, "timeout must be a number of seconds"),
    ],
)
def test_options_that_are_refused(client: HandMadeClient, options: dict[str, Any], match: str) -> None:
    """An option that cannot be used is refused before anything is sent."""
    with pytest.raises(TypeError, match=match):
        client.calls.raw_call("f", (), {}, options)

    assert client.server.session.outstanding == 0


@pytest.mark.parametrize("options", [{}, {"nonblocking": True}])
def test_values_that_cannot_be_sent(client: HandMadeClient, options: dict[str, Any]) -> None:
    """A value that cannot be pickled is refused by an error that names the function, and nothing is sent."""
    with pytest.raises(SerializationError, match="argument 1 of f"):
        client.calls.raw_call("f", (threading.Lock(),), {}, options)

    assert client.server.session.outstanding == 0


@pytest.mark.parametrize("options", [{}, {"nonblocking": True}])
def test_buffers_beside_a_call(client: HandMadeClient, options: dict[str, Any]) -> None:
    """Large buffers travel beside the body of a call."""
    client.answer(1, None)
    client.calls.raw_call("f", (pickle.PickleBuffer(bytes(100_000)),), {}, options)
    (message,) = client.server.receive(1)

    assert [len(buffer) for buffer in message.buffers] == [100_000]
    assert len(message.body) < 1000


# Connections.


def test_client_that_is_not_connected() -> None:
    """A client that is not connected says so, whatever is called."""
    calls = HandMadeClient(None).calls
    acts: list[Callable[[], Any]] = [
        lambda: calls.call("f", (), {}),
        lambda: calls.new_proxy_state(5),
        calls.get_session,
        lambda: calls.update_definitions({"nonblocking": True}),
    ]
    for act in acts:
        with pytest.raises(ConnectionLost, match=r"^the client is not connected: call connect\(\) first$"):
            act()


def test_call_on_a_certain_connection(client: HandMadeClient) -> None:
    """A call of a proxy goes to the proxy's connection, whatever connection the client has."""
    other = HandMadeServer()
    response = client.calls.operation("eval", ("1",), {"nonblocking": True}, other.session)
    (message,) = other.receive(1)
    other.close()

    assert response.call_session is other.session
    assert pickle.loads(message.body) == (0, "eval", ("1",), {})
    assert client.server.session.outstanding == 0


@pytest.mark.parametrize("how", ["invoke", "request"])
def test_method_on_a_certain_connection(client: HandMadeClient, how: str) -> None:
    """So does a method."""
    other = HandMadeServer()
    if how == "invoke":
        response = client.calls.invoke(5, "f", (), {}, {"nonblocking": True}, other.session)
    else:
        response = client.calls.request(m.INVOKE, (5, "f", ()), {"nonblocking": True}, "f", other.session)
    other.receive(1)
    other.close()

    assert response.call_session is other.session


def test_new_connection(client: HandMadeClient) -> None:
    """On a new connection calls go there, its references know the maker, and nothing is defined yet."""
    easycluster.define_common("x = 1")
    client.answer(1, None)
    client.calls.update_definitions()
    other = HandMadeServer()
    client.calls.open(other.session)
    response = client.calls.update_definitions({"nonblocking": True})
    other.close()

    assert client.calls.get_session() is other.session
    assert other.session.references.maker is client.calls
    assert response.call_session is other.session


def test_state_of_a_proxy(client: HandMadeClient) -> None:
    """A proxy's state knows its number and connection: the one on which it was named, or that of the client."""
    own = client.calls.new_proxy_state(5)
    other = HandMadeServer()
    named = client.calls.new_proxy_state(6, other.session.references)
    other.close()

    assert isinstance(own, ProxyState)
    assert (own.oid, own.references) == (5, client.server.session.references)
    assert (named.oid, named.references) == (6, other.session.references)
    assert own.client is client


def test_reading_is_up_to_callers(client: HandMadeClient) -> None:
    """On a client without a background thread answers come only while a thread reads."""
    assert client.calls.reads_by_itself is False
    assert client.calls.client is client
    assert client.calls.default_thread == 0


# Waiting for the value.


def test_remote_exception(client: HandMadeClient) -> None:
    """A call that raises remotely raises the same here, and the exception is reported."""
    client.fail(1, KeyError("missing"))
    with pytest.raises(KeyError, match="missing") as caught:
        client.calls.call("f", (), {})

    assert [each.orig for each in client.reported] == [caught.value]


def test_remote_exception_with_an_option(client: HandMadeClient) -> None:
    """The options of a call hold for its exception, also where it has a limit."""
    for number in (1, 2):
        client.fail(number, KeyError("missing"))
        with pytest.raises(RemoteException):
            client.calls.raw_call("f", (), {}, {"origexc": False, "timeout": 60 if number == 2 else None})

    assert client.reported == []


def test_lost_connection(client: HandMadeClient) -> None:
    """A call whose connection ends while it waits raises that."""
    client.server.socket.shutdown(1)
    with pytest.raises(ConnectionLost, match="the connection ended"):
        client.calls.call("f", (), {})


def test_value_that_cannot_be_rebuilt(client: HandMadeClient) -> None:
    """A value that cannot be unpickled raises an error that names the call."""
    client.server.send(Message(m.RESULT, 1, b"no pickle"))
    with pytest.raises(Exception, match="^the result of f on the server arrived but cannot be rebuilt here"):
        client.calls.call("f", (), {})


def test_completion_functions_are_called_while_a_call_waits(client: HandMadeClient) -> None:
    """Answers with completion functions that come while a call waits are completed before it returns."""
    called: list[Any] = []
    response = client.calls.call("f", (), {"oncomplete": called.append})
    client.answer(1, "first")
    client.answer(2, "second")

    assert client.calls.call("g", (), {}) == "second"
    assert isinstance(response, NonblockingResponse)
    assert called == ["first"]


def test_completion_functions_after_the_answer(
    client: HandMadeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers with completion functions that came together with the call's own are completed before it returns, too."""
    called: list[Any] = []
    client.calls.call("f", (), {"oncomplete": called.append})
    client.server.send(*(Message(m.RESULT, number, pickle.dumps(number)) for number in (2, 1)))

    assert client.calls.call("g", (), {}) == 2
    assert called == [1]


@pytest.mark.parametrize("option", ["oncomplete", "onerror"])
def test_call_with_a_completion_function_does_not_wait(client: HandMadeClient, option: str) -> None:
    """A call with one of these functions returns its response at once."""
    response = client.calls.call("f", (), {option: print})

    assert isinstance(response, NonblockingResponse)
    assert not response.call_is_answered


def test_nonblocking_that_is_false(client: HandMadeClient) -> None:
    """A call whose ``nonblocking`` is false waits for its value."""
    client.answer(1, "value")

    assert client.calls.call("f", (), {"nonblocking": False, "threadid": 3}) == "value"


def test_response_is_not_kept(client: HandMadeClient) -> None:
    """A call that has returned leaves nothing behind."""
    client.answer(1, "value")
    client.calls.call("f", (), {})

    assert client.server.session.outstanding == 0


# Calls with a limit.


@pytest.fixture
def clock(client: HandMadeClient, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which limits run."""
    clock = Clock()
    for module in (limited_channel, _deadlines, response_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(reading, "wait", clock.wait)
    return clock


def test_value_within_the_limit(client: HandMadeClient, clock: Clock) -> None:
    """A call that is answered within its limit returns its value."""
    client.answer(1, "value")

    assert client.calls.raw_call("f", (), {}, {"timeout": 5}) == "value"
    assert clock.now == 1000.0


def test_no_value_within_the_limit(client: HandMadeClient, clock: Clock) -> None:
    """A call that is not answered within its limit raises; its response can be waited for without a limit then."""
    with pytest.raises(CallTimeout) as caught:
        client.calls.raw_call("f", (), {}, {"timeout": 5})
    response = caught.value.response
    before = (clock.now, response.call_timeout)
    client.answer(1, "late")

    assert (
        str(caught.value)
        == "no answer from f on the server within 5 seconds: the call was sent, and goes on there"
    )
    assert caught.value.state == "sent"
    assert before == (1005.0, None)
    assert response.wait() == "late"


def test_nonblocking_call_with_a_limit(client: HandMadeClient, clock: Clock) -> None:
    """A nonblocking call with a limit returns its response, whose waits have the limit."""
    for options in ({"nonblocking": True}, {"oncomplete": print}):
        response = client.calls.raw_call("f", (), {}, {"timeout": 5, **options})
        assert (response.call_timeout, clock.now) == (5, 1000.0)


def test_call_that_is_not_sent_within_its_limit(client: HandMadeClient, clock: Clock) -> None:
    """The limit of a call holds for sending it, too, and ends with that."""
    with pytest.raises(CallTimeout) as caught:
        client.calls.raw_call("f", (bytes(5_000_000),), {}, {"timeout": 5})

    assert (caught.value.state, clock.now) == ("unknown", 1005.0)
    assert client.server.session._channel.limits == {}


# Completion functions.


def arrive(client: HandMadeClient, *functions: Callable[[Any], object]) -> None:
    """Let answers arrive that have these completion functions."""
    for number, function in enumerate(functions, 1):
        client.calls.call("f", (), {"oncomplete": function})
        client.answer(number, number)
    while len(client.server.session.arrived) < len(functions):
        client.server.session.read(block=True)


def test_completion_functions(client: HandMadeClient) -> None:
    """Completion functions are called in the order of the answers, and counted."""
    called: list[Any] = []
    arrive(client, called.append, called.append)
    session = client.server.session

    assert client.calls.run_completions(session) == 2
    assert called == [1, 2]
    assert (client.calls.run_completions(session), session.arrived) == (0, [])


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (2, 2), (3, 2), (0, 0), (-1, 2)])
def test_limited_number_of_completion_functions(client: HandMadeClient, limit: int, expected: int) -> None:
    """No more answers are dealt with than asked for."""
    called: list[Any] = []
    arrive(client, called.append, called.append)

    assert client.calls.run_completions(client.server.session, limit) == expected
    assert called == [1, 2][:expected]


def test_completion_functions_do_not_nest(client: HandMadeClient) -> None:
    """Inside a completion function further ones are put off until it has ended, unless that is asked for."""
    events: list[Any] = []

    def first(value: Any) -> None:
        events.append(client.calls.run_completions(client.server.session))
        events.append("end of the first")

    def second(value: Any) -> None:
        events.append("second")

    arrive(client, first, second)
    client.calls.run_completions(client.server.session)

    assert events == [-1, "end of the first", "second"]


def test_completion_functions_that_are_to_nest(client: HandMadeClient) -> None:
    """A completion function that reads answers itself has the others called inside."""
    events: list[Any] = []

    def first(value: Any) -> None:
        events.append(client.calls.run_completions(client.server.session, -1, True))
        events.append("end of the first")

    arrive(client, first, lambda value: events.append("second"))
    count = client.calls.run_completions(client.server.session)

    assert events == ["second", 1, "end of the first"]
    assert count == 1


def test_completion_functions_of_two_clients(client: HandMadeClient) -> None:
    """Completion functions of one client are no reason to put those of another off."""
    other = HandMadeClient(HandMadeServer())
    called: list[Any] = []
    arrive(other, called.append)
    arrive(client, lambda value: called.append(other.calls.run_completions(other.server.session)))
    client.calls.run_completions(client.server.session)
    other.server.close()

    assert called == [1, 1]


class Vanishing(list[Any]):
    """Answers of which another thread takes the last one just now."""

    def pop(self, index: Any = -1) -> Any:
        self.clear()
        return super().pop(index)


def test_answer_that_another_thread_has_taken(client: HandMadeClient) -> None:
    """An answer that another thread takes first is dealt with there."""
    session = client.server.session
    session.arrived = Vanishing([7])

    assert client.calls.run_completions(session) == 0


def test_interrupt_between_completion_functions(client: HandMadeClient) -> None:
    """Wherever an interrupt comes, the other functions are called by the next run, and none twice."""

    def once(at: int) -> bool:
        called: list[int] = []
        session = client.server.session
        session.arrived += [Noted(called, number) for number in range(3)]
        outcome = strike(lambda: client.calls.run_completions(session), at)
        client.calls.run_completions(session)
        assert called == sorted(set(called)), outcome
        assert len(called) >= 2, outcome
        return outcome.struck > 0

    assert places(once) > 5


class Noted(NonblockingResponse):
    """A response that is noted when it is completed."""

    def __init__(self, called: list[int], number: int) -> None:
        self._called, self._number = called, number

    def call_complete(self) -> None:
        """Note it."""
        self._called.append(self._number)
