from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._values.serialize import dumps
from easycluster_protocol._wire import messages as m
from easycluster_protocol._wire.messages import Message
from easycluster_server._serving import calls
from easycluster_server._serving.calls import make_runner
from easycluster_server._serving.logged_calls import LoggingRunner
from easycluster_server._serving.session_log import SessionLog
from easycluster_server._system.output import standard_error


class Session:
    """A runner that logs, and what it writes."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.log = SessionLog("h:5", 2)
        self.runner = make_runner(5, self.log)
        self._number = 0

    def call(self, kind: int, *values: Any) -> Message:
        """Make a call as a job does; return the answer."""
        self._number += 1
        body, buffers = dumps(values, 5)
        request = Message(kind, self._number, body, 0, buffers)
        try:
            function, name, args, kwargs = self.runner.unpack(request)
            return self.runner.pack_result(request, name, function(*args, **kwargs))
        except BaseException as error:
            return self.runner.pack_failure(request, error)

    @property
    def lines(self) -> list[str]:
        """The lines since they were asked for the last time, without the time stamp."""
        printed = self._capfd.readouterr().err.splitlines()
        return [re.sub(r"^[\d-]+ [\d:,]+ easycluster: h:5 |\d+\.\d", "", line) for line in printed]


@pytest.fixture
def session(capfd: pytest.CaptureFixture[str]) -> Iterator[Session]:
    """A session that logs."""
    yield Session(capfd)
    standard_error.prefix = str


def test_runners() -> None:
    """Calls are logged where the log has them."""
    assert not isinstance(make_runner(5), LoggingRunner)
    assert not isinstance(make_runner(5, SessionLog("h:5", 1)), LoggingRunner)
    standard_error.prefix = str


def test_calls(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call has a line, which names no arguments; one that fails says how."""
    monkeypatch.setattr(calls, "find_dumps_by_value", lambda: dumps)  # the client has sent what results take
    assert session.call(m.CALL, "int", ("5",), {}).kind == m.RESULT
    session.call(m.CALL, "int", ("secret",), {})
    session.call(m.CALL, "no_such", ("secret",), {})
    session.call(m.INVOKE, 0, "eval", ("'secret'",), {})
    session.call(m.INVOKE, 0, "eval", ("__import__('_thread').allocate_lock()",), {})
    session.call(m.INVOKE, 999_999, "read", (), {})

    assert session.lines == [
        "called int:  ms",
        "called int:  ms, failed: ValueError",
        "called no_such:  ms, failed: NameError",
        "called eval:  ms",
        "called eval:  ms, failed: SerializationError",
        "called read:  ms, failed: ReferenceError",
    ]


def test_body_that_is_no_call(session: Session) -> None:
    """A request that cannot be read has a line, too, and so has an answer that is changed afterwards."""
    request = Message(m.CALL, 77, b"no pickle")
    for _ in range(2):
        session.runner.pack_failure(request, ValueError())
    session.call(m.CALL, 5)

    assert session.lines == [
        "got no answer to a call: ValueError",
        "got no answer to a call: ValueError",
        "called something unknown:  ms, failed: ValueError",
    ]


def test_methods(session: Session) -> None:
    """Methods are named with their class; those of a file share one line."""
    (oid,) = session.call(m.INVOKE, 0, "eval", ("open('/dev/null')",), {}).references
    for name in ("read", "tell", "close"):
        session.call(m.INVOKE, oid, name, (), {})
    session.call(m.INVOKE, oid, "nope", (), {})
    session.log.end("lost")

    assert session.lines == [
        "called eval:  ms",
        "is done with TextIOWrapper: 3 calls, 0 characters read, 0 written,  ms",
        "called TextIOWrapper.nope:  ms, failed: AttributeError",
        "was lost after 5 calls,  s",
    ]
