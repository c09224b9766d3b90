<<<<<<< HEAD
"""From a call to its message and back: options, values, waiting, completion functions and definitions."""
=======
"""From a call to its message and back: labels, options, limits, completion functions and definitions."""
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)

from __future__ import annotations

import pickle
import threading
<<<<<<< HEAD
from collections.abc import Callable
=======
from types import SimpleNamespace
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)
from typing import Any

import pytest

<<<<<<< HEAD
import easycluster
from easycluster_client import _deadlines
from easycluster_client._calls import response as response_module
from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.proxy_state import ProxyState
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import limited_channel, session as session_module
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import CallTimeout, ConnectionLost, RemoteException, SerializationError
from helpers.checkpoints import places, strike
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient
=======
from easycluster_client import _deadlines
from easycluster_client._calls import response as response_module
from easycluster_client._calls.maker import CallMaker
from easycluster_client._calls.response import NonblockingResponse
from easycluster_client._session import session as session_module
from easycluster_protocol._constants import SINGLE, SINGLE_THREAD
from easycluster_protocol._definitions import modules
from easycluster_protocol._definitions.modules import Block
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import (
    CallTimeout,
    ConnectionLost,
    DeserializationError,
    RemoteException,
    SerializationError,
)
from helpers.clocks import Clock
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient, Trap, failure_message, raise_it, value_message
from helpers.other_thread import OtherThread
from helpers.waits import NotedWait

DEFAULT_THREAD = 5
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)


@pytest.fixture
def client(server: HandMadeServer) -> HandMadeClient:
    """A client whose server the test plays."""
<<<<<<< HEAD
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
=======
    client = HandMadeClient(server)
    client.calls.default_thread = DEFAULT_THREAD
    return client


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """The blocks of definitions of this process: none yet."""
    found: list[Block] = []
    monkeypatch.setattr(modules, "defined_blocks", found)
    return found


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> NotedWait:
    """Calls wait by a clock of which all time passes at once."""
    clock = Clock()
    noted = NotedWait(wait=clock.wait)
    monkeypatch.setattr(response_module, "time", clock)
    monkeypatch.setattr(_deadlines, "time", clock)
    monkeypatch.setattr(session_module, "wait", noted)
    return noted


def unconnected() -> CallMaker:
    """The maker of calls of a client that has no connection."""
    client: Any = SimpleNamespace(peername="nowhere")
    return CallMaker(client, modules.DEFAULT_NAME)


def sent(client: HandMadeClient, count: int = 1) -> list[tuple[int, Any, int]]:
    """Kind, values and server thread of the calls that were sent, when there are so many."""
    found = client.server.receive(count)
    assert len(found) == count
    return [(each.kind, pickle.loads(each.body, buffers=each.buffers), each.thread) for each in found]


def answer_next(client: HandMadeClient, answer: Message | None = None, request: int = 1) -> None:
    """Answer a call that will be made."""
    message = value_message("value") if answer is None else answer
    message.request = request
    client.server.send(message)


def answer_each(client: HandMadeClient, patch: pytest.MonkeyPatch, *answers: Message) -> None:
    """Answer the calls that will be made, each when it has been sent."""
    session, left = client.server.session, list(answers)
    request = session.request

    def send(call: Any, *arguments: Any) -> None:
        request(call, *arguments)
        answer_next(client, left.pop(0), call.request_id)

    patch.setattr(session, "request", send)


# Connections.


def test_client_without_a_connection() -> None:
    """Without a connection every kind of call raises an error that says what to do."""
    calls = unconnected()

    assert (calls.session, calls.default_thread, calls.reads_by_itself) == (None, 0, False)
    actions: list[Any] = [
        calls.get_session,
        lambda: calls.new_proxy_state(7),
        lambda: calls.call("f", (), {}),
        lambda: calls.call("f", (), {"nonblocking": True}),
        lambda: calls.raw_call("f", (), {}, {}),
        lambda: calls.operation("g", ()),
        lambda: calls.invoke(7, "g", (), {}, {}),
    ]
    for action in actions:
        with pytest.raises(ConnectionLost, match=r"^the client is not connected: call connect\(\) first$"):
            action()


def test_new_connection(server: HandMadeServer) -> None:
    """A new connection takes the place of the one before, and its proxies make their calls here."""
    calls = unconnected()
    for each in (server, HandMadeServer()):
        calls.open(each.session)
        assert calls.session is calls.get_session() is each.session
        assert each.session.references.maker is calls
    each.close()


def test_state_of_a_proxy(client: HandMadeClient) -> None:
    """A proxy belongs to the connection that named its object; one that a script makes, to the present one."""
    other = HandMadeServer()
    own, named = client.calls.new_proxy_state(7), client.calls.new_proxy_state(8, other.session.references)
    other.close()

    assert (own.oid, own.references) == (7, client.server.session.references)
    assert (named.oid, named.references) == (8, other.session.references)
    assert own.current_calls() is client.calls


def test_call_on_another_connection(client: HandMadeClient) -> None:
    """A call may name its connection, which need not be the present one."""
    other = HandMadeServer()
    client.calls.make(m.CALL, ("g", (), {}), "g", {"nonblocking": True}, other.session)
    client.calls.invoke(7, "g", (), {}, {"nonblocking": True}, other.session)
    client.calls.operation("g", (), {"nonblocking": True}, other.session)
    client.calls.request(m.CALL, ("g", ()), {"nonblocking": True}, "g", other.session)
    kinds = [message.kind for message in other.receive(4)]
    other.close()

    assert kinds == [m.CALL, m.INVOKE, m.INVOKE, m.CALL]
    assert client.server.session.outstanding == 0


# Messages.


def test_call_by_name(client: HandMadeClient) -> None:
    """A call without options waits; it has its name, args and keywords, and runs in the default thread."""
    answer_next(client)

    assert client.calls.call("f", (1,), {}) == "value"
    assert sent(client) == [(m.CALL, ("f", (1,), {}), DEFAULT_THREAD)]


def test_options_among_the_keywords(client: HandMadeClient) -> None:
    """The options of every call are taken out of the keywords; all others belong to the function."""
    options = {"nonblocking": True, "oncomplete": print, "onerror": print, "threadid": 9, "origexc": False}
    response = client.calls.call("f", (1,), {**options, "timeout": 3, "b": 2})

    assert isinstance(response, NonblockingResponse)
    assert (response.call_label, response.client, response.call_timeout) == ("f", client, None)
    assert response.call_is_watched
    assert sent(client) == [(m.CALL, ("f", (1,), {"timeout": 3, "b": 2}), 9)]


def test_keywords_that_have_names_of_options(client: HandMadeClient) -> None:
    """Where options are given apart, all keywords belong to the function or method."""
    kwargs, options = {"nonblocking": 1, "threadid": 2}, {"nonblocking": True}
    client.calls.raw_call("f", (), dict(kwargs), options)
    client.calls.invoke(7, "g", (3,), dict(kwargs), options)

    assert sent(client, 2) == [
        (m.CALL, ("f", (), kwargs), DEFAULT_THREAD),
        (m.INVOKE, (7, "g", (3,), kwargs), DEFAULT_THREAD),
    ]


def test_operation(client: HandMadeClient) -> None:
    """An operation is a method of the server's root object, which has the number 0."""
    answer_next(client)

    assert client.calls.operation("g", (1, 2)) == "value"
    assert sent(client) == [(m.INVOKE, (0, "g", (1, 2), {}), DEFAULT_THREAD)]


class Callable:
    """An object that can be called, and has no name of its own."""
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)

    def __call__(self) -> None:
        """Do nothing."""


<<<<<<< HEAD
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
=======
@pytest.mark.parametrize(
    ("function", "label"),
    [("f", "f"), (len, "len"), (OtherThread.run, "OtherThread.run"), (Callable, "Callable")],
)
@pytest.mark.parametrize("raw", [False, True])
def test_label(client: HandMadeClient, function: Any, label: str, raw: bool) -> None:
    """Messages name a function by its qualified name, and a name as it is."""
    options = {"nonblocking": True}
    calls = client.calls
    response = calls.raw_call(function, (), {}, options) if raw else calls.call(function, (), options)

    assert response.call_label == label
    ((_, values, _),) = sent(client)
    assert values[0] is function or values[0] == function


def test_label_of_an_object(client: HandMadeClient) -> None:
    """Any object that can be called has the name of its class in messages."""
    assert client.calls.call(Callable(), (), {"nonblocking": True}).call_label == "Callable"


@pytest.mark.parametrize("target", [None, 7, b"f"], ids=repr)
def test_target_that_cannot_be_called(client: HandMadeClient, target: Any) -> None:
    """What is neither a function nor a name is refused, with or without options."""
    said = f"^the target of a call must be a function or the name of one, not {target!r}$"
    actions: list[Any] = [
        lambda: client.calls.call(target, (), {}),
        lambda: client.calls.call(target, (), {"nonblocking": True}),
        lambda: client.calls.raw_call(target, (), {}, {}),
    ]
    for action in actions:
        with pytest.raises(TypeError, match=said):
            action()
    assert client.server.session.outstanding == 0


@pytest.mark.parametrize(
    ("options", "thread"),
    [
        ({}, DEFAULT_THREAD),
        ({"threadid": None}, DEFAULT_THREAD),
        ({"threadid": 0}, 0),
        ({"threadid": SINGLE}, SINGLE_THREAD),
    ],
)
def test_server_thread(client: HandMadeClient, options: Any, thread: int) -> None:
    """A call runs in the thread that it names, else in the default thread."""
    client.calls.call("f", (), {**options, "nonblocking": True})

    assert client.server.receive(1)[0].thread == thread


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"threadid": "1"}, TypeError),
        ({"oncomplete": 1}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"nonblocking": True, "threadid": 1 << 63}, TypeError),
    ],
)
def test_wrong_option(client: HandMadeClient, options: Any, error: type[Exception]) -> None:
    """A call with a wrong option is not sent."""
    with pytest.raises(error):
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)
        client.calls.raw_call("f", (), {}, options)

    assert client.server.session.outstanding == 0


@pytest.mark.parametrize("options", [{}, {"nonblocking": True}])
<<<<<<< HEAD
def test_values_that_cannot_be_sent(client: HandMadeClient, options: dict[str, Any]) -> None:
    """A value that cannot be pickled is refused by an error that names the function, and nothing is sent."""
    with pytest.raises(SerializationError, match="argument 1 of f"):
        client.calls.raw_call("f", (threading.Lock(),), {}, options)
=======
def test_value_that_cannot_be_sent(client: HandMadeClient, options: Any) -> None:
    """A call whose argument cannot be pickled is not sent, and the error has its name."""
    with pytest.raises(SerializationError, match="^argument 2 of f "):
        client.calls.call("f", (1, threading.Lock()), options)
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)

    assert client.server.session.outstanding == 0


<<<<<<< HEAD
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
    monkeypatch.setattr(session_module, "wait", clock.wait)
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
=======
# Whether the caller waits.


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ({"nonblocking": True}, False),
        ({"nonblocking": False}, True),
        ({"oncomplete": print}, False),
        ({"onerror": print}, False),
        ({"oncomplete": None, "onerror": None}, True),
        ({"origexc": "quiet"}, True),
        ({"threadid": 1}, True),
        ({"nonblocking": True, "timeout": 60}, False),
        ({"oncomplete": print, "timeout": 60}, False),
        ({"timeout": 60}, True),
        ({"timeout": None}, True),
    ],
    ids=str,
)
def test_who_waits(client: HandMadeClient, options: Any, waits: bool) -> None:
    """A call with ``nonblocking`` or a completion function returns its response, others wait for the value."""
    answer_next(client)
    result = client.calls.raw_call("f", (), {}, options)

    assert isinstance(result, NonblockingResponse) is not waits
    assert waits is (result == "value")


@pytest.mark.parametrize("options", [{"origexc": "quiet"}, {"origexc": False}, {}], ids=str)
def test_error_of_the_call(client: HandMadeClient, options: Any) -> None:
    """The error of a call that waits is raised as its options say."""
    answer_next(client, failure_message(ValueError("bad")))
    with pytest.raises(RemoteException if options.get("origexc", True) is False else ValueError, match="bad"):
        client.calls.call("f", (), dict(options))

    assert len(client.reported) == (not options)


def test_value_that_cannot_be_rebuilt(client: HandMadeClient) -> None:
    """The value of a call that waits may turn out to be an error when it is unpickled."""
    answer_next(client, value_message(Trap(raise_it, KeyError("k"))))
    with pytest.raises(DeserializationError, match="^the result of f on the server arrived"):
        client.calls.call("f", (), {})


def test_connection_that_ends_while_a_call_waits(client: HandMadeClient) -> None:
    """A call that waits ends with the connection."""
    client.server.socket.shutdown(1)
    with pytest.raises(ConnectionLost):
        client.calls.call("f", (), {})


def test_completion_function_while_a_call_waits(client: HandMadeClient) -> None:
    """A call that waits calls the completion functions of other answers that come, and waits on."""
    got: list[Any] = []

    def complete(value: Any) -> None:
        got.append(value)
        answer_next(client, value_message("own"), 2)

    client.calls.call("f", (), {"oncomplete": complete})
    answer_next(client, value_message("other"), 1)

    assert client.calls.call("g", (), {}) == "own"
    assert got == ["other"]


def test_answers_that_come_together(client: HandMadeClient) -> None:
    """When its answer comes together with others a call calls their completion functions before it returns."""
    got: list[Any] = []
    client.calls.call("f", (), {"oncomplete": got.append})
    client.server.send(value_message("other", 1), value_message("own", 2))

    assert client.calls.call("g", (), {}) == "own"
    assert got == ["other"]


# Limits.


def test_call_in_time(client: HandMadeClient, waits: NotedWait, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that has a limit returns its value in time, or raises its error."""
    answer_each(client, monkeypatch, value_message("value"), failure_message(ValueError("bad")))

    assert client.calls.raw_call("f", (), {}, {"timeout": 3}) == "value"
    with pytest.raises(ValueError, match="^bad$"):
        client.calls.raw_call("f", (), {}, {"timeout": 3, "origexc": "quiet"})


def test_call_that_is_too_late(client: HandMadeClient, waits: NotedWait) -> None:
    """After its limit a call raises an error with its response, which has no limit any more."""
    with pytest.raises(CallTimeout, match="^no answer from f on the server within 3 seconds: ") as caught:
        client.calls.raw_call("f", (), {}, {"timeout": 3})
    response = caught.value.response

    assert isinstance(response, NonblockingResponse)
    assert response.call_timeout is None
    assert [wait for wait in waits.timeouts if wait] == [2.5, 0.5]
    assert [each.kind for each in client.server.receive(2)] == [m.CALL, m.STATUS_QUERY]
    answer_next(client)
    assert response.wait() == "value"


def test_limit_of_a_call_that_does_not_wait(client: HandMadeClient, waits: NotedWait) -> None:
    """A call that does not wait leaves its limit to its response."""
    response = client.calls.raw_call("f", (), {}, {"timeout": 3, "nonblocking": True})

    assert (response.call_timeout, waits.timeouts) == (3, [])


@pytest.mark.parametrize("timeout", [None, 0, 3.0])
def test_sending_has_the_limit_too(
    client: HandMadeClient, waits: NotedWait, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of a call counts from its beginning, and for sending, too."""
    noted: list[float] = []
    limit = client.server.session.limit_sending

    def note(deadline: float) -> Any:
        noted.append(deadline)
        return limit(deadline)

    monkeypatch.setattr(client.server.session, "limit_sending", note)
    client.calls.raw_call("f", (), {}, {"timeout": timeout, "nonblocking": True})

    assert noted == ([] if timeout is None else [1000.0 + timeout])
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)


# Completion functions.


<<<<<<< HEAD
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
=======
def arrived(client: HandMadeClient, *functions: Any) -> None:
    """Let answers arrive, of calls that have these completion functions."""
    for function in functions:
        client.answered(value_message(None), oncomplete=function)


def test_number_of_answers_that_were_dealt_with(client: HandMadeClient) -> None:
    """The number is returned; a limit leaves the others to later; without answers there is nothing to do."""
    session, calls = client.server.session, client.calls
    got: list[str] = []

    def note(_: Any, name: str) -> None:
        got.append(name)

    arrived(client, *((note, name) for name in "abcd"))
    counts = [calls.run_completions(session, limit) for limit in (0, 1, 2, -1, -1)]

    assert counts == [0, 1, 2, 1, 0]
    assert got == ["a", "b", "c", "d"]


def test_completion_functions_are_not_nested(client: HandMadeClient) -> None:
    """Inside a completion function the others wait for its end, unless the caller insists."""
    session, calls = client.server.session, client.calls
    events: list[Any] = []

    def first(_: Any) -> None:
        events.append(calls.run_completions(session))
        events.append(calls.run_completions(session, 1, even_if_nested=True))
        events.append("end")

    arrived(client, first, lambda _: events.append("second"), lambda _: events.append("third"))

    assert calls.run_completions(session) == 2
    assert events == [-1, "second", 1, "end", "third"]


def test_completion_functions_of_two_clients(client: HandMadeClient) -> None:
    """A completion function of one client may run those of another."""
    other = HandMadeClient(HandMadeServer())
    events: list[Any] = []
    arrived(other, lambda _: events.append("other"))
    arrived(client, lambda _: events.append(other.calls.run_completions(other.server.session)))
    client.calls.run_completions(client.server.session)
    other.server.close()

    assert events == ["other", 1]


def test_another_thread_takes_the_last_answer(client: HandMadeClient) -> None:
    """When another thread takes the last answer at the same time there is nothing left to do."""

    class Taken(list[Any]):
        def pop(self, index: Any = -1) -> Any:
            self.clear()
            return super().pop(index)

    session: Any = SimpleNamespace(arrived=Taken([1]))
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)

    assert client.calls.run_completions(session) == 0


<<<<<<< HEAD
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
=======
# Definitions.


def define(blocks: list[Block], *sources: str) -> None:
    """Define blocks on this end."""
    blocks.extend(Block("defs", number, source) for number, source in enumerate(sources, len(blocks)))


def test_no_definitions(client: HandMadeClient, blocks: list[Block]) -> None:
    """Without new definitions nothing is sent, unless the caller wants a response."""
    assert client.calls.update_definitions() is None
    assert client.server.session.outstanding == 0
    response = client.calls.update_definitions({"nonblocking": True})
    assert isinstance(response, NonblockingResponse)
    assert sent(client) == [(m.INVOKE, (0, "define", ([],), {}), DEFAULT_THREAD)]


def test_definitions_are_sent_once(client: HandMadeClient, blocks: list[Block]) -> None:
    """Only blocks that the connection does not have yet are sent; a new connection gets all."""
    define(blocks, "a = 1", "b = 2")
    answer_next(client)
    results = [client.calls.update_definitions() for _ in range(2)]
    define(blocks, "c = 3")
    answer_next(client, request=2)
    client.calls.update_definitions()

    assert results == ["value", None]
    first, second = [values[2][0] for _, values, _ in sent(client, 2)]
    assert first == [("defs", 0, "a = 1"), ("defs", 1, "b = 2")]
    assert second == [("defs", 2, "c = 3")]
    other = HandMadeClient(HandMadeServer())
    client.calls.open(other.server.session)
    client.calls.update_definitions({"nonblocking": True})
    ((_, values, _),) = sent(other)
    other.server.close()
    assert values[2][0] == [*first, *second]


def test_definition_that_fails(client: HandMadeClient, blocks: list[Block]) -> None:
    """The error of a definition is raised and not printed, and the block is not sent again."""
    define(blocks, "1 / 0")
    answer_next(client, failure_message(ZeroDivisionError("bad")))
    with pytest.raises(ZeroDivisionError, match="^bad$"):
        client.calls.update_definitions()

    assert client.reported == []
    assert client.calls.update_definitions() is None


def test_options_of_definitions(client: HandMadeClient, blocks: list[Block]) -> None:
    """Options count for definitions, too: with one of three the caller does not wait, others are kept."""
    define(blocks, "a = 1")
    response = client.calls.update_definitions({"onerror": print, "threadid": 9})
    define(blocks, "b = 1")
    answer_next(client, failure_message(ValueError("bad")), 2)
    with pytest.raises(RemoteException):
        client.calls.update_definitions({"nonblocking": False, "origexc": False})

    assert isinstance(response, NonblockingResponse)
    assert [each[2] for each in sent(client, 2)] == [9, DEFAULT_THREAD]


def test_thread_that_may_not_wait(
    client: HandMadeClient, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that may not wait learns so before any definition is sent; without waiting it may send them."""

    def refuse() -> None:
        raise RuntimeError("may not wait")

    monkeypatch.setattr(client.server.session, "check_may_wait", refuse)
    define(blocks, "a = 1")
    with pytest.raises(RuntimeError, match="may not wait"):
        client.calls.update_definitions()

    assert client.server.session.outstanding == 0
    client.calls.update_definitions({"nonblocking": True})
    assert [kind for kind, _, _ in sent(client)] == [m.INVOKE]


def test_definitions_that_another_thread_sends(
    client: HandMadeClient, blocks: list[Block], other_thread: OtherThread
) -> None:
    """While one thread sends definitions another waits; a forked process does not wait for a thread it lacks."""
    define(blocks, "a = 1")
    update = client.calls.update_definitions
    started = other_thread.start(update)
    client.server.receive(1)
    client.calls.renew_locks()

    assert update() is None
    answer_next(client)
    assert started.result(10) == "value"


@pytest.mark.parametrize("own", [False, True])
def test_preparing_a_connection(
    server: HandMadeServer, blocks: list[Block], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new connection gets the definitions, then the name of the client's module unless it is the usual one."""
    client = HandMadeClient(server, "own.module" if own else modules.DEFAULT_NAME)
    define(blocks, "a = 1")
    answer_each(client, monkeypatch, value_message(None), value_message(None))
    client.calls.prepare()

    names = [values[1:3] for _, values, _ in sent(client, 1 + own)]
    assert names == [("define", ([("defs", 0, "a = 1")],)), ("use_definitions", ("own.module",))][: 1 + own]
    assert server.session.outstanding == 0
>>>>>>> 3928e51 (Tests of the maker of calls have a file of their own: labels, options, limits, definitions)
