"""The observers of the processes to which clients connect."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from easycluster_client._address import Address
from easycluster_client._deadlines import Deadline
from easycluster_client._observers import RUNNING, STOPPED, Observation, Observer, SocketObserver, Verdict
from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._handshake.client import ClientHandshake
from easycluster_protocol._handshake.hello import STATUS
from easycluster_protocol._wire.link import CLIENT
from easycluster_protocol.errors import EasyClusterError
from easycluster_server._io.handshake import shake_hands
from easycluster_server._io.local_socket import LocalSocket
from easycluster_server._io.questions import Answer, parse_answer
from easycluster_server._io.transport import SocketTransport

from .dial import dial

if TYPE_CHECKING:
    from easycluster_client._ssh.process import SshProcess


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


class SshObserver(Observer):
    """The guardian of a process behind ssh. Nobody can ask it; it speaks when the process reads nothing.

    Args:
        process: the ssh that leads there.
    """

    needs_pings = True

    def __init__(self, process: SshProcess) -> None:
        self._process = process

    def find_observation(self) -> Observation | None:
        latest = self._process.latest_report
        answer = parse_answer(latest[0]) if latest is not None else None
        return observe_by(answer, latest[1]) if latest is not None and answer is not None else None

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        if not self._process.can_report:
            return None
        return Verdict("frozen", "neither its process nor the guardian of that says anything, and ssh lives")


class ServerObserver(SocketObserver):
    """A standalone server, which passes questions on to the guardian of the session.

    Each question is a short connection of its own, which a thread makes: that of the session may be full of
    what the process does not read.

    Args:
        address: the server.
        session: the name of the session.
        seconds: how long one question may take.
    """

    def __init__(self, address: Address, session: bytes, seconds: float) -> None:
        super().__init__(acknowledges=True)
        self._address = address
        self._session = session
        self._seconds = seconds
        self._is_asking = False
        self._observation: Observation | None = None
        #: What the last question without an answer has shown.
        self._failure: Verdict | None = None

    def ask(self) -> None:
        if self._is_asking:
            return
        self._is_asking = True
        try:
            threading.Thread(target=self._run, name="easycluster-question", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter ends
            self._is_asking = False

    def find_observation(self) -> Observation | None:
        return self._observation

    def judge_silence(self, unacknowledged: int | None) -> Verdict | None:
        return self._failure or super().judge_silence(unacknowledged)

    def _run(self) -> None:
        try:
            self._failure = self._ask()
        finally:
            self._is_asking = False

    def _ask(self) -> Verdict | None:
        asked_at, deadline = monotonic(), Deadline(self._seconds)
        address = self._address
        try:
            connection = dial(address.host, address.port or DEFAULT_PORT, deadline)
        except ConnectionRefusedError:
            return None  # by something in between: sessions end with their server
        except OSError as error:
            return Verdict("lost", f"its host cannot be reached: {error}")
        with connection:
            handshake = ClientHandshake(address.key, purpose=STATUS, session=self._session, tls=0)
            try:
                link = shake_hands(handshake, SocketTransport(connection), CLIENT, deadline.wait)
            except (EasyClusterError, OSError):
                if deadline.left:
                    return None  # it has its reasons, and may be another server by now
                return Verdict(
                    "frozen", "its host answers, but neither the process nor the server there does"
                )
        answer = parse_answer(link.agreement.name)
        if answer is not None:
            self._observation = observe_by(answer, asked_at)
        return None
