"""A transport within TLS, over the transport of a socket.

The TLS of `ssl` is between two buffers in memory here (`ssl.MemoryBIO`); the socket stays with its own
transport. `SSLSocket` would hide received bytes from `poll`, refuse the flags of `recv`, and lose bytes to
signal handlers. Here all complete records that have been received are decrypted before `receive` returns, so
a descriptor with nothing to read means that nothing is there.

The law of interrupts (see `interrupts`) holds, with one difficulty more: `ssl` runs signal handlers after a
record has been decrypted and before it returns its size, so a handler that raises loses the size. Peers send
nothing but records of type 23 after the handshake, without padding, so the sizes of the records say it; the
place of the bytes is ours. Encryption loses the size in the same way, and the ciphertext tells how much went
in. What was begun is in one tuple for each direction, and the next `receive` or `send` goes on with it.

OpenSSL forbids that two threads use one connection at once, and one of ours sends while another receives: a
lock guards each step that encrypts or decrypts. It is never held while the kernel is asked for anything.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

from easycluster_protocol._limits import SMALL_MESSAGE_BYTES
from easycluster_protocol._wire.last_words import MAX_BYTES
from easycluster_protocol.errors import RemoteProtocolError

from .interrupts import OwnedLock
from .transport import EndOfStream, SocketTransport

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer

    from .transport import Inbox

    #: A place to which plaintext goes, its length before that, and how many bytes go there.
    _Move = Tuple[List[Any], int, int]

    #: Records that are being decrypted: their bytes, the sizes of their plaintexts, the list that notes that
    #: TLS has taken them in, that of the sizes decrypted, and that of the moves to the receiver.
    _Batch = Tuple[bytes, List[int], List[int], List[int], List[_Move]]

    #: The beginning of a record that is not complete, the pieces received after it, and the batch or None.
    _Received = Tuple[bytes, List[bytes], Optional[_Batch]]

    #: Plaintext that is being sent: how much, the list that notes how much TLS took in, the ciphertext, its
    #: sizes sent, the list of the sender that is to note the plaintext, and that list's length before.
    _Sending = Tuple[Buffer, List[int], List[bytes], List[int], List[int], int]

#: A record: type, version, length; then the encrypted text with its type of one byte and the tag.
_HEADER_SIZE = 5
_OVERHEAD = 1 + 16
_MAX_PLAINTEXT = 1 << 14
_RECORD_SIZE = _HEADER_SIZE + _MAX_PLAINTEXT + _OVERHEAD

#: Those of TLS 1.3.
_RECORD_TYPES = range(20, 24)

#: The most plaintext that is decrypted at once: what one reception brings, and the record begun before.
_BATCH_SIZE = SMALL_MESSAGE_BYTES + 2 * _RECORD_SIZE

#: The most plaintext that is encrypted at once.
_SEND_SIZE = 4 * _MAX_PLAINTEXT

_ALL = (-1,)


class _Collector:
    """Stands where the transport of the socket expects a receiver."""

    direct = None

    def __init__(self, transport: TlsTransport) -> None:
        self._transport = transport

    @property
    def inbox(self) -> List[bytes]:
        return self._transport.pieces


class TlsTransport(SocketTransport):
    """A socket within TLS, see `Transport` for its methods.

    Args:
        plain: the transport of the socket.
        tls: the TLS connection, handshake done.
        incoming, outgoing: its two buffers, both empty.
        rest: bytes received after those of the handshake.
        description: what protects the connection, for people.
        certificate: that of the peer, in DER, or None.

    Attributes:
        cipher: the name of the cipher.
    """

    def __init__(
        self,
        plain: SocketTransport,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        rest: bytes,
        description: str,
        certificate: Optional[bytes] = None,
    ) -> None:
        super().__init__(plain.socket)
        self._plain = plain
        self._incoming = incoming
        self._outgoing = outgoing
        self.description = description
        self.certificate = certificate
        self.cipher = (tls.cipher() or ("",))[0]
        # The methods of `SSLObject` are Python code, which an interrupt could end between step and note.
        steps: Any = getattr(tls, "_sslobj", tls)
        self._tls = tls
        self._decrypt_step = steps.read
        self._encrypt_step = steps.write
        self._lock = OwnedLock()
        self._space = memoryview(bytearray(_BATCH_SIZE))
        self._received: _Received = (b"", [rest] if rest else [], None)
        self._sending: Optional[_Sending] = None
        self._collector = _Collector(self)

    @property
    def pieces(self) -> List[bytes]:
        """The list to which received ciphertext is appended."""
        return self._received[1]

    @property
    def unread(self) -> bytes:
        """The bytes that have come and do not make a record."""
        rest, pieces, _ = self._received
        return b"".join([rest, *pieces])

    def shutdown(self) -> None:
        """End both directions at once, also for processes that hold copies of the descriptor."""
        self._plain.shutdown()

    def close(self) -> None:
        """Close the descriptor."""
        self._plain.close()

    def release_leaked(self) -> None:
        """Give back the lock that an interrupt kept this thread from giving back."""
        self._lock.release_leaked()

    def receive(self, receiver: Inbox, block: bool) -> bool:
        """Receive once; see `Transport.receive`. True may mean that a part of a record has come."""
        if self.receive_held(receiver):
            return True
        if not self._plain.receive(self._collector, block):
            return False
        self.receive_held(receiver)
        return True

    def receive_held(self, receiver: Inbox) -> bool:
        """Take in the complete records that have been received; return whether there were any."""
        rest, pieces, batch = self._received
        if batch is None:
            if not pieces:
                return False
            data = b"".join([rest, *pieces]) if rest or len(pieces) > 1 else pieces[0]
            sizes, end = _find_records(data)
            if not sizes:
                self._received = (data, [], None)
                return False
            taken: List[int] = []
            done: List[int] = []
            moves: List[_Move] = []
            batch = (data[:end], sizes, taken, done, moves)
            self._received = (data[end:], [], batch)
            self._decrypt(batch, False)
        else:
            self._decrypt(batch, True)
        self._hand_over(batch, receiver)
        rest, pieces, _ = self._received
        # What came before the end of TLS has been handed over; the end is for the next reception.
        self._received = (rest, pieces, None if all(batch[3]) else (b"", [0], [0], [0], []))
        return True

    def _decrypt(self, batch: _Batch, is_resumed: bool) -> None:
        data, sizes, taken, done, _ = batch
        incoming, step, space = self._incoming, self._decrypt_step, self._space
        with self._lock:
            try:
                if not taken:
                    taken.extend(map(incoming.write, (data,)))
                elif is_resumed and _count_gone(sizes, len(data) - incoming.pending) > len(done):
                    done.append(sizes[len(done)])  # an interrupt kept it from being noted
                while len(done) < len(sizes):
                    try:
                        done.extend(map(step, (_MAX_PLAINTEXT,), (space[sum(done) :],)))
                    except ssl.SSLWantReadError:  # a message of TLS itself, such as a ticket
                        del sizes[len(done)]
            except ssl.SSLError as error:
                raise RemoteProtocolError(
                    "a record of TLS was not sent by the peer, or was changed on its way"
                ) from error

    def _hand_over(self, batch: _Batch, receiver: Inbox) -> None:
        _, _, _, done, moves = batch
        total = sum(done)
        if not total and not all(done):
            raise EndOfStream("the peer ended TLS")
        if moves and len(moves[-1][0]) == moves[-1][1]:  # an interrupt came before the move itself
            moves.pop()
        at = sum(size for _, _, size in moves)
        while at < total:
            inbox = receiver.inbox
            if inbox is not None:
                moves.append((inbox, len(inbox), total - at))
                inbox.append(self._space[at:total].tobytes())
                return
            direct = receiver.direct
            assert direct is not None
            view, counts = direct
            size = min(len(view), total - at)
            view[:size] = self._space[at : at + size]
            moves.append((counts, len(counts), size))
            counts.append(size)
            at += size

    def send(self, sent: List[int], buffers: List[Buffer], block: bool) -> bool:
        """Send once; see `Transport.send`. ``sent`` notes plaintext when all of its ciphertext has left."""
        sending = self._sending
        if sending is not None and len(sending[4]) > sending[5]:
            sending = None  # an interrupt came when it had been noted
        is_resumed = sending is not None
        if sending is None:
            sending = self._sending = (_take(buffers), [], [], [], sent, len(sent))
        content, taken, cipher, gone, _, _ = sending
        if not cipher:
            self._encrypt(content, taken, cipher, is_resumed)
        (data,) = cipher
        rest = data if not gone else memoryview(data)[sum(gone) :]
        if rest and not self._plain.send(gone, [rest], block):
            return False
        if sum(gone) == len(data):
            sent.append(taken[0])
            self._sending = None
        return True

    def _encrypt(self, content: Buffer, taken: List[int], cipher: List[bytes], is_resumed: bool) -> None:
        outgoing = self._outgoing
        with self._lock:
            if not taken:
                if is_resumed and outgoing.pending:
                    taken.append(_count_plaintext(outgoing.pending))
                else:
                    taken.extend(map(self._encrypt_step, (content,)))
            cipher.extend(map(outgoing.read, _ALL))


def _find_records(data: bytes) -> Tuple[List[int], int]:
    """Return the sizes of the plaintexts of the complete records, and where these end."""
    sizes: List[int] = []
    at, length = 0, len(data)
    while length - at >= _HEADER_SIZE:
        if data[at] not in _RECORD_TYPES:
            # The last words of a server whose worker has ended are no record; they are read at the end.
            if length - at > MAX_BYTES:
                raise RemoteProtocolError("the peer sent something that is not TLS")
            break
        size = data[at + 3] << 8 | data[at + 4]
        end = at + _HEADER_SIZE + size
        if end > length:
            break
        sizes.append(max(0, size - _OVERHEAD))
        at = end
    return sizes, at


def _count_gone(sizes: List[int], taken: int) -> int:
    """Return of how many records these bytes are."""
    for count, size in enumerate(sizes):
        if taken <= 0:
            return count
        taken -= _HEADER_SIZE + size + _OVERHEAD
    return len(sizes)


def _count_plaintext(size: int) -> int:
    """Return how much plaintext gives ciphertext of this size."""
    full, rest = divmod(size, _RECORD_SIZE)
    return full * _MAX_PLAINTEXT + max(0, rest - _HEADER_SIZE - _OVERHEAD)


def _take(buffers: List[Buffer]) -> Buffer:
    """Return the beginning of what is to be sent."""
    first = buffers[0]
    if len(buffers) == 1 or len(first) >= _SEND_SIZE:
        return memoryview(first)[:_SEND_SIZE] if len(first) > _SEND_SIZE else first
    parts: List[Buffer] = []
    room = _SEND_SIZE
    for buffer in buffers:
        parts.append(memoryview(buffer)[:room])
        room -= len(parts[-1])
        if not room:
            break
    return b"".join(parts)
