"""Tests for easycluster_client._calls.guarded_response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_client._calls import guarded_response, response as plain_response
from easycluster_client._calls.guarded_response import GuardedResponse
from easycluster_client._trust.policy import Policy
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import DeserializationError, UntrustedResult
from helpers.hand_made import HandMadeServer
from helpers.hand_made_client import HandMadeClient, failure_message, value_message
from helpers.malicious import called, name, pickled


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandMadeClient]:
    """A client that trusts its server with results only; nothing else is ever unpickled."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled without a look at it")

    for function in (
        "loads",
        "loads_result",
        "loads_again",
        "unpack_exception",
        "list_kept",
        "find_late_result",
    ):
        monkeypatch.setattr(plain_response, function, refuse)
    server = HandMadeServer()
    made = HandMadeClient(server)
    made.calls.restrict(Policy())
    yield made
    server.close()


def answered(client: HandMadeClient, answer: Message, **options: Any) -> Any:
    """Make a call, and let this be its answer; return its response."""
    response = client.calls.raw_call("f", (), {}, {"nonblocking": True, **options})
    answer.request = response.request_id
    client.server.send(answer)
    client.server.session.receive_available()
    assert isinstance(response, GuardedResponse)
    return response


def test_values(client: HandMadeClient) -> None:
    """Plain values are the results of calls, in each way to ask for them."""
    assert answered(client, value_message([1, 2])).wait() == [1, 2]
    assert answered(client, value_message("text")).result() == "text"
    told: list[Any] = []
    answered(client, value_message(5), oncomplete=told.append)
    client.calls.run_completions(client.server.session)
    assert told == [5]
    response = GuardedResponse(Policy(), client, "f", client.server.session)
    response.call_answer, response.call_is_answered = value_message(6), True
    assert response.call_take_value(value_message(6)) == 6


def test_code(client: HandMadeClient) -> None:
    """Code is refused, by its name; so is a result that would come by value."""
    body = pickled(called(name("os", "system"), "true"))
    with pytest.raises(
        UntrustedResult, match=r"the result of f on the server names os\.system, .*trust\(client, CLASS"
    ):
        answered(client, Message(m.RESULT, body=body)).wait()
    for module in ("cloudpickle.cloudpickle", "easycluster_protocol._values.late_results"):
        with pytest.raises(UntrustedResult, match="by value, which is code"):
            answered(client, Message(m.RESULT, body=pickled(name(module, "LateResult")))).wait()
    assert guarded_response is not None


def test_malformed_answers(client: HandMadeClient) -> None:
    """An answer that cannot be unpickled is an error of its call."""
    with pytest.raises(DeserializationError, match="the result of f on the server arrived"):
        answered(client, Message(m.RESULT, body=b"nonsense")).wait()
    with pytest.raises(DeserializationError, match="the exception that f raised"):
        answered(client, Message(m.FAILURE, body=b"nonsense")).wait()
    damaged = answered(client, value_message(5))
    damaged.call_answer.damage = "there is no memory"
    with pytest.raises(DeserializationError, match="there is no memory"):
        damaged.wait()


def test_exceptions(client: HandMadeClient) -> None:
    """Exceptions are raised as always."""
    with pytest.raises(KeyError, match="text"):
        answered(client, failure_message(KeyError("text"))).wait(origexc="quiet")
