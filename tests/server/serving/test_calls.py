from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from easycluster_protocol._values.failures import pack_exception, unpack_exception
from easycluster_protocol._values.late_results import find_late_result
from easycluster_protocol._values.serialize import dumps
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_protocol.errors import DeserializationError, SerializationError
from easycluster_server._serving import calls
from easycluster_server._serving.calls import CallRunner
from easycluster_server._serving.executor import Executor
from easycluster_server._serving.operations import Operations, ServerNames
from helpers.checkpoints import Struck

REQUEST = Message(m.CALL, 5, b"", -3)


@pytest.fixture
def runner() -> CallRunner:
    """The runner of a session."""
    return CallRunner(ServerNames(), 5)


def call(kind: int, *values: Any) -> Message:
    """A request with these values in its body."""
    body, buffers = dumps(values, 5)
    return Message(kind, 1, body, 0, buffers)


def described(answer: Message) -> tuple[BaseException, list[str]]:
    """What a client makes of a failure."""
    assert (answer.kind, answer.request, answer.thread) == (m.FAILURE, REQUEST.request, REQUEST.thread)
    return unpack_exception(answer.body, "host")


class Hostile(Exception):
    """Cannot be described, let alone pickled."""

    def __str__(self) -> str:
        raise Struck

    __repr__ = __reduce_ex__ = __str__  # type: ignore[assignment]


class Unpicklable:
    """Refuses."""

    def __reduce__(self) -> str:
        raise TypeError("not me")


def refuse() -> None:
    """Refuse to be rebuilt."""
    raise ValueError("not here")


class NotRebuilt:
    """Can be pickled, and not be unpickled."""

    def __reduce__(self) -> Any:
        return refuse, ()


# Requests.


def test_call_of_a_global(runner: CallRunner) -> None:
    """The name is resolved; arguments and keywords are as they were sent."""
    found = runner.unpack(call(m.CALL, "os.path.join", ("a", "b"), {"c": [1]}))

    assert found[1:] == ("os.path.join", ("a", "b"), {"c": [1]})
    assert found[0].__name__ == "join"


def test_options_of_a_call(runner: CallRunner) -> None:
    """Options stand ahead of the values; unknown ones are ignored, and each holds for its call alone."""
    for options, allowed in (({"device_memory": True}, True), ({"later": 5}, False), ({}, False)):
        for kind, values in ((m.CALL, ("len", ("a",), {})), (m.INVOKE, (0, "eval", ("1",), {}))):
            request = Message(kind, 1, pickle.dumps((options, *values)))
            assert runner.unpack(request)[1:] == values[-3:]
            assert request.device_memory is allowed
    assert not Message(m.CALL).device_memory


@pytest.mark.parametrize("name", sorted(Operations.NAMES))
def test_call_of_an_operation(runner: CallRunner, name: str) -> None:
    """Each operation of the root is found under its name."""
    assert runner.unpack(call(m.INVOKE, 0, name, (), {}))[0].__name__ == name


@pytest.mark.parametrize(
    ("oid", "name"), [(0, "_compile"), (0, "__class__"), (0, "no_such_name"), (1, "eval"), (0, ["eval"])]
)
def test_what_is_not_exported(runner: CallRunner, oid: int, name: Any) -> None:
    """Nothing but the operations can be called."""
    with pytest.raises((AttributeError, ReferenceError, TypeError)):
        runner.unpack(call(m.INVOKE, oid, name, (), {}))


def test_arguments_that_did_not_arrive(runner: CallRunner) -> None:
    """Arguments for which there was no memory are named as such."""
    request = call(m.CALL, "len", (), {})
    request.damage = "there is no memory for 5 bytes"
    with pytest.raises(MemoryError, match="the arguments did not arrive: there is no memory"):
        runner.unpack(request)


@pytest.mark.parametrize("body", [b"", b"no pickle", pickle.dumps((1,)), pickle.dumps(5)])
def test_bodies_that_are_no_calls(runner: CallRunner, body: bytes) -> None:
    """A body that is not what it should be raises an Exception, and nothing worse."""
    with pytest.raises((DeserializationError, ValueError, TypeError)):
        runner.unpack(Message(m.CALL, 1, body))


def test_argument_that_cannot_be_rebuilt(runner: CallRunner) -> None:
    """An argument that fails to be rebuilt is told from an error of the function."""
    with pytest.raises(DeserializationError, match="^argument 1 of len arrived but .* not here") as caught:
        runner.unpack(call(m.CALL, "len", (NotRebuilt(),), {}))

    assert isinstance(caught.value.__cause__, ValueError)


# Answers.


def test_result(runner: CallRunner) -> None:
    """A value becomes a RESULT for its request; large buffers travel beside it."""
    value = [1, pickle.PickleBuffer(bytearray(100_000))]
    answer = runner.pack_result(REQUEST, "f", value)

    assert (answer.kind, answer.request, answer.thread) == (m.RESULT, 5, -3)
    assert [len(buffer) for buffer in answer.buffers] == [100_000]
    assert pickle.loads(answer.body, buffers=answer.buffers)[0] == 1


def test_result_that_cannot_be_sent(runner: CallRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be pickled is kept while cloudpickle has not come, and then a failure that says so."""
    monkeypatch.delitem(sys.modules, "cloudpickle", raising=False)
    answer = runner.pack_result(REQUEST, "f", Unpicklable())
    late = find_late_result(answer.body)
    assert late is not None
    assert (answer.kind, list(answer.references)) == (m.RESULT, [late.oid])
    kept = runner.objects.get(late.oid)
    runner.objects.give_back([late.oid])

    error, _ = described(runner.pack_result(REQUEST, "get_result", kept))

    assert isinstance(error, SerializationError)
    assert str(error) == (
        "the result of f cannot be sent: TypeError: not me"
        " (make_server_class(Unpicklable) makes such objects stay on the server)"
    )


def test_failure(runner: CallRunner) -> None:
    """An exception becomes a FAILURE for its request, with the stack trace."""
    try:
        refuse()
    except ValueError as error:
        found, lines = described(runner.pack_failure(REQUEST, error))

    assert (type(found), str(found)) == (ValueError, "not here")
    assert "in refuse" in "".join(lines)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("easycluster_no_such_name", []), (f"{__name__}.refuse", ["in refuse"])],
)
def test_stack_traces_are_the_users(monkeypatch: pytest.MonkeyPatch, name: str, shown: list[str]) -> None:
    """A stack trace begins in the user's code: what is ours above that is left out."""
    monkeypatch.setitem(sys.modules, __name__, ModuleType(__name__))
    monkeypatch.setattr(sys.modules[__name__], "refuse", refuse, raising=False)
    sent: list[Message] = []
    channel: Any = SimpleNamespace(send=sent.append)
    executor = Executor(channel, lambda: None)
    executor.runner = CallRunner(ServerNames(), 5)
    executor.main.serve(call(m.CALL, name, (), {}))
    _, lines = unpack_exception(sent[0].body, "host")
    frames = [line for line in lines if line.startswith("  File")]

    assert len(frames) == len(shown)
    assert all(text in frame for text, frame in zip(shown, frames, strict=True))


#: What packing an exception imports that the module which packs it has not imported yet.
IMPORTED_LATE = """
import sys
import easycluster_server._serving.session
from easycluster_server._serving.lazy import load
failures = load("easycluster_protocol._values.failures")
import raising
before = set(sys.modules)
try:
    raising.look_up()
except KeyError as error:
    failures.pack_exception(error, 4)
print(sorted(set(sys.modules) - before))
"""


def test_imports_of_stack_traces(tmp_path: Path) -> None:
    """On a server everything that a stack trace takes is imported where no signal handler can come between."""
    (tmp_path / "raising.py").write_text('def look_up():\n    return {}["ä"] + 1\n', "utf-8")
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED_LATE], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


def test_exceptions_that_cannot_be_changed(runner: CallRunner) -> None:
    """An exception that forbids to set its attributes, as frozen dataclasses do, arrives like any other."""
    try:
        raise Frozen(3)
    except Frozen as caught:
        answer = runner.pack_failure(REQUEST, caught)

    error, _ = described(answer)
    assert error == Frozen(3)


def test_hostile_exception(runner: CallRunner) -> None:
    """An exception that resists every description is sent nevertheless, or one that names it."""
    error, _ = described(runner.pack_failure(REQUEST, Hostile()))

    assert type(error) is Hostile or "Hostile" in str(error)


def test_failure_that_is_interrupted(runner: CallRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler that raises while an exception is packed does not replace it."""
    original = pack_exception
    attempts: list[int] = []

    def pack(error: BaseException, protocol: int, *objects: Any) -> bytes:
        attempts.append(protocol)
        if len(attempts) == 1:
            raise Struck
        return original(error, protocol, *objects)

    monkeypatch.setattr(calls, "_pack_exception", pack)
    error, _ = described(runner.pack_failure(REQUEST, KeyError("k")))

    assert isinstance(error, KeyError)
