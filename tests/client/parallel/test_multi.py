"""One call on many clients or objects: how it is made, the order of results, and which error is raised."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from easycluster_client._api.call_options import options
from easycluster_client._parallel.multi import call_method_multi, call_multi, eval_multi, execblock_multi
from easycluster_client._parallel.outcomes import Outcome, outcomes
from helpers.fake_proxies import NAMES, make, sent
from helpers.noted_client import NotedClient, call_of, noted, operation_of


class Answer:
    """Stands for a response.

    Args:
        events: a list to which its name is added when it is waited for.
        name: its name.
        value: its value, or its error.
    """

    call_is_answered = False

    def __init__(self, events: list[str], name: str, value: Any) -> None:
        self._events = events
        self._name = name
        self._value = value
        self.call_session = SimpleNamespace(peername=f"host{name}", way_to_end="")

    def call_wait(self, timeout: float | None) -> None:
        """Wait for it."""

    def result(self) -> Any:
        """Return the value, which is waited for and may be reported."""
        self._events.append(self._name)
        if isinstance(self._value, BaseException):
            raise self._value
        return self._value

    def exception(self) -> Any:
        """Return the error, which is waited for."""
        self._events.append(f"quiet {self._name}")
        return self._value if isinstance(self._value, BaseException) else None


def clients_that_answer(events: list[str], *values: Any) -> list[NotedClient]:
    """Return a client for each value or error; their names are their numbers, from 1."""
    clients = [NotedClient() for _ in values]
    for number, (client, value) in enumerate(zip(clients, values, strict=True), 1):
        noted(client).answer = Answer(events, str(number), value)
    return clients


def made_by(clients: list[NotedClient]) -> list[Any]:
    """Return the calls of all clients."""
    return [call for client in clients for call in noted(client).made]


def test_results_in_the_order_of_the_clients() -> None:
    """Each client makes the same call without waiting; the results come in the order of the clients."""
    events: list[str] = []
    clients = clients_that_answer(events, "first", None, "third")
    found = call_multi(iter(clients), "f", 1, func=2, connections=3, threadid=4)

    assert found == ["first", None, "third"]
    assert events == ["1", "2", "3"]
    expected = call_of("f", 1, kwargs={"func": 2, "connections": 3}, nonblocking=True, threadid=4)
    assert made_by(clients) == [expected] * 3


def test_nothing_to_call() -> None:
    """Without clients there are no results."""
    assert call_multi([], "f") == []


def test_call_that_was_to_wait() -> None:
    """Calls are made at once even if the keywords say that each is to be waited for."""
    clients = clients_that_answer([], 1)
    call_multi(clients, "f", nonblocking=False)

    assert made_by(clients) == [call_of("f", nonblocking=True)]


def test_all_calls_are_made_before_any_is_waited_for() -> None:
    """The first answer is waited for when every client has made its call."""
    made: list[int] = []
    clients = clients_that_answer([], 1, 2, 3)
    noted(clients[0]).answer.result = lambda: made.append(len(made_by(clients)))
    call_multi(clients, "f")

    assert made == [3]


def test_first_error_of_the_answers() -> None:
    """The first error in the order of the clients is raised when all calls have ended."""
    events: list[str] = []
    clients = clients_that_answer(events, 1, KeyError("second"), ValueError("third"), 4)
    with pytest.raises(KeyError, match="second"):
        call_multi(clients, "f")

    assert events == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("answer", "expected"), [(KeyError("early"), KeyError), (1, ConnectionError)])
def test_call_that_cannot_be_made(answer: Any, expected: type[Exception]) -> None:
    """A call that fails before it is made keeps no other from being made, and its error has the place of its client."""
    events: list[str] = []
    clients = clients_that_answer(events, answer, 2, 3)
    noted(clients[1]).answer = ConnectionError("not sent")
    with pytest.raises(expected):
        call_multi(clients, "f")

    assert events == ["1", "3"]
    assert len(made_by(clients)) == 3


def test_interrupt_is_raised_at_once() -> None:
    """An exception that is no error ends the waiting."""
    events: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        call_multi(clients_that_answer(events, KeyboardInterrupt(), 2), "f")

    assert events == ["1"]


@pytest.mark.parametrize(("function", "operation"), [(eval_multi, "eval"), (execblock_multi, "execblock")])
def test_code_on_many_clients(function: Callable[[Any, str], list[Any]], operation: str) -> None:
    """The same code is sent to every client, without waiting."""
    clients = clients_that_answer([], 1, 2)

    assert function(clients, "1 + 1") == [1, 2]
    assert made_by(clients) == [operation_of(operation, "1 + 1", nonblocking=True)] * 2


# All outcomes.


def test_outcomes_of_an_error() -> None:
    """The error gives the results and errors of all, in order, with the names of the hosts; it is itself among them."""
    clients = clients_that_answer([], 1, KeyError("second"), ValueError("third"), 4)
    with pytest.raises(KeyError) as caught:
        call_multi(clients, "f")

    found = outcomes(caught.value)
    assert [(each.host, each.value) for each in found] == [
        ("host1", 1),
        ("host2", None),
        ("host3", None),
        ("host4", 4),
    ]
    assert found[1].error is caught.value
    assert [type(each.error) for each in found] == [type(None), KeyError, ValueError, type(None)]
    assert vars(caught.value) == {}


def test_outcomes_as_the_result() -> None:
    """With errors='return' errors are outcomes too, and nothing is reported."""
    events: list[str] = []
    clients = clients_that_answer(events, 1, KeyError("second"))
    found = call_multi(options(clients, errors="return"), "f")

    assert found[0] == Outcome("host1", 1, None)
    assert (found[1].host, type(found[1].error)) == ("host2", KeyError)
    assert events == ["quiet 1", "1", "quiet 2"]


def test_outcomes_of_calls_that_all_succeed() -> None:
    """With errors='return' the shape is the same whether a call fails or not; with 'raise' values are values."""
    clients = clients_that_answer([], 1)

    assert call_multi(options(clients, errors="return"), "f") == [Outcome("host1", 1, None)]
    assert call_multi(options(clients, errors="raise"), "f") == [1]


def test_options_of_many() -> None:
    """Other options of many clients go with each call."""
    clients = clients_that_answer([], 1, 2)
    quick = options(options(clients, errors="return"), timeout=3)

    assert [each.value for each in call_multi(quick, "f")] == [1, 2]
    assert made_by(clients) == [call_of("f", timeout=3, nonblocking=True)] * 2


def test_wait_that_ends_too_early() -> None:
    """An answer that does not come in time is an outcome, too."""
    (client,) = clients_that_answer([], 1)
    noted(client).answer.exception = lambda: call_multi([], "f").index("no answer yet")
    (found,) = call_multi(options([client], errors="return"), "f")

    assert type(found.error) is ValueError


def test_text_in_the_place_of_a_client() -> None:
    """The keys of a mapping from specs to clients are no clients, and the error says what to write."""
    with pytest.raises(
        TypeError, match="'lab1' is a text: give the client itself, as the values.. of a mapping do"
    ):
        call_multi({"lab1": NotedClient()}, "f")  # type: ignore[dict-item]


def test_call_that_cannot_be_made_is_an_outcome() -> None:
    """Its host is named as far as it is known: by proxies, by views, and by clients that had an address."""
    proxy, client = make(NAMES), NotedClient()
    noted(client).answer = proxy._easycluster_state.answer = ConnectionError("not sent")
    proxy._easycluster_state.invoke = lambda *_: call_multi([client], "f")
    found = call_method_multi(options([proxy, client], errors="return", timeout=1), "f")

    assert [each.host for each in found] == ["host:1", "(not connected)"]
    assert {type(each.error) for each in found} == {ConnectionError}


# Methods.


def test_method_of_proxies_and_clients() -> None:
    """Proxies call their method, clients the function of that name; keywords are told from options."""
    proxy, (client,) = make(NAMES), clients_that_answer([], "of the client")
    proxy._easycluster_state.answer = Answer([], "", "of the proxy")
    found = call_method_multi([proxy, client], "f", 1, method=2, objects=3, origexc=False)

    assert found == ["of the proxy", "of the client"]
    kwargs = {"method": 2, "objects": 3}
    assert sent(proxy) == [("f", (1,), kwargs, {"origexc": False, "nonblocking": True})]
    assert made_by([client]) == [call_of("f", 1, kwargs=kwargs, origexc=False, nonblocking=True)]


def test_method_of_views() -> None:
    """The options of a view go with its call."""
    proxy, (client,) = make(NAMES), clients_that_answer([], 2)
    proxy._easycluster_state.answer = Answer([], "", 1)

    assert call_method_multi([options(proxy, timeout=3), options(client, timeout=4)], "f") == [1, 2]
    assert sent(proxy) == [("f", (), {}, {"timeout": 3, "nonblocking": True})]
    assert made_by([client]) == [call_of("f", timeout=4, nonblocking=True)]


def test_method_that_was_to_be_waited_for() -> None:
    """Calls of methods are made at once whatever the keywords say."""
    clients = clients_that_answer([], 1)
    call_method_multi(clients, "f", nonblocking=False)

    assert made_by(clients) == [call_of("f", nonblocking=True)]


def test_method_of_something_else() -> None:
    """An object that is neither a proxy nor a client is an error; the calls of the others are made all the same."""
    events: list[str] = []
    clients = clients_that_answer(events, 1, 2)
    with pytest.raises(TypeError, match="^methods are called on proxies and clients, not on 'text'$"):
        call_method_multi([clients[0], "text", clients[1]], "f")

    assert events == ["1", "2"]


@pytest.mark.parametrize("call", [call_multi, call_method_multi])
def test_first_argument_that_is_no_list(call: Any) -> None:
    """One client, or the name of the function, in place of the clients is an error that shows the order."""
    (client,) = clients_that_answer([], 1)
    for wrong in (client, options(client, timeout=3), "f", 3):
        with pytest.raises(
            TypeError, match=r"^the first argument is a list of clients .*, not .*: write call_m"
        ):
            call(wrong, "f")

    assert made_by([client]) == []
