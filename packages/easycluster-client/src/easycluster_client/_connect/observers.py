"""The observers of the processes to which clients connect."""

from __future__ import annotations

from time import monotonic

from easycluster_client._observers import RUNNING, STOPPED, Observation, Observer, Verdict
from easycluster_server._io.local_socket import LocalSocket
from easycluster_server._io.questions import Answer, parse_answer


def observe_by(answer: Answer, at: float) -> Observation:
    """Return what an answer of a guardian says."""
    kind = "stopped" if answer.is_stopped else "running"
    seen = (
        f"its guardian says that its process is {kind} (state {answer.state}), after"
        f" {answer.cpu_seconds:.1f} seconds of CPU time"
    )
    return Observation(STOPPED if answer.is_stopped else RUNNING, at, seen)


class LocalObserver(Observer):
    """The guardian of a local server, which answers at once on a socket of its own.

    Args:
        connection: the connection to that server.
    """

    def __init__(self, connection: LocalSocket) -> None:
        self._connection = connection
        self._asked_at = 0.0
        self._known = b""
        self._observation: Observation | None = None

    def ask(self) -> None:
        self._asked_at = monotonic()
        self._connection.ask()

    def find_observation(self) -> Observation | None:
        said = self._connection.read_words()
        if said != self._known:
            answer = parse_answer(said)
            if answer is not None:
                self._observation = observe_by(answer, self._asked_at)
            self._known = said
        return self._observation

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        return Verdict("frozen", "neither its process nor the guardian of that answers")
