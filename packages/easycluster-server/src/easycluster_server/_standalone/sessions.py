"""The sessions of a listener whose guardians can be asked how their workers are, and the peers that ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Mapping, Tuple

from easycluster_protocol._handshake.hello import CANCEL
from easycluster_server._io.questions import QUESTION

if TYPE_CHECKING:
    import socket

    from easycluster_protocol._handshake.hello import FieldValue

    from .peers import Peer


class Sessions:
    """The sockets on which the guardians are asked, by the names of their sessions."""

    def __init__(self) -> None:
        self._guardians: Dict[bytes, socket.socket] = {}
        self._names: Dict[socket.socket, bytes] = {}
        self._asking: Dict[bytes, List[Peer]] = {}

    def add(self, name: bytes, questions: socket.socket) -> None:
        """Take in a session, and the socket on which its guardian is asked."""
        questions.setblocking(False)
        self._guardians[name] = questions
        self._names[questions] = name

    def ask(self, name: bytes, peer: Peer) -> bool:
        """Ask about a session in the name of a peer; return False if there is none with that name."""
        questions = self._guardians.get(name)
        if questions is None:
            return False
        self._asking.setdefault(name, []).append(peer)
        try:
            questions.send(QUESTION)
        except OSError:  # it answers nothing, or has just ended
            pass
        return True

    def receive(self, questions: socket.socket) -> Tuple[List[Peer], bytes]:
        """Receive from a guardian.

        Returns:
            The peers that have asked, and the answer; an empty answer: the session has ended.
        """
        try:
            answer = questions.recv(4096)
        except BlockingIOError:
            return [], b" "
        except OSError:
            answer = b""
        name = self._names[questions]
        if not answer:
            del self._names[questions], self._guardians[name]
        return self._asking.pop(name, []), answer

    def close(self) -> None:
        """Close all sockets."""
        for questions in self._names:
            questions.close()


def add_capability(fields: Mapping[str, FieldValue], name: str) -> Dict[str, FieldValue]:
    """Return the fields of a description with one more capability."""
    known = str(fields.get("capabilities", CANCEL))
    return {**fields, "capabilities": f"{known},{name}" if known else name}
