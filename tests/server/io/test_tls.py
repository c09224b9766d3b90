from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from easycluster_protocol._wire.last_words import explain_last_words, pack_last_words
from easycluster_protocol.errors import RemoteProtocolError
from easycluster_server._io import tls as tls_module
from easycluster_server._io.transport import EndOfStream, wait
from helpers.certificates import Authority
from helpers.interrupts import Interrupted
from helpers.lines import interrupt_at
from helpers.tls_pair import HOST, Ends, LosingSteps, TlsPair, end_tls, make_tls_pair


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    """The sockets of the test are closed after it."""
    yield
    Ends.close_all()


class Place:
    """Stands where a receiver is: bytes go directly to ``space`` while there is room, then to a list."""

    def __init__(self, size: int = 0) -> None:
        self.space = bytearray(size)
        self.pieces: list[bytes] = []
        self.counts: list[int] = []

    @property
    def inbox(self) -> list[bytes] | None:
        """The list, when there is no room."""
        return self.pieces if sum(self.counts) == len(self.space) else None

    @property
    def direct(self) -> tuple[memoryview, list[int]]:
        """The rest of the room."""
        return memoryview(self.space)[sum(self.counts) :], self.counts

    @property
    def received(self) -> bytes:
        """All that has come."""
        return bytes(self.space[: sum(self.counts)]) + b"".join(self.pieces)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server's certificate."""
    return Authority(tmp_path_factory.mktemp("ca")).sign(HOST)


@pytest.fixture
def pair(certificate: Any) -> Iterator[TlsPair]:
    """Two connected transports within TLS."""
    pair = make_tls_pair(certificate)
    yield pair
    for transport in pair:
        transport.close()


def send_all(transport: Any, data: bytes) -> None:
    """Send as a sender does."""
    done = 0
    while done < len(data):
        sent: list[int] = []
        transport.send(sent, [memoryview(data)[done:]], True)
        done += sum(sent)


def receive_all(transport: Any, size: int, place: Place | None = None) -> bytes:
    """Receive so many bytes."""
    place = place or Place()
    while len(place.received) < size:
        transport.receive(place, True)
    return place.received


def receive_rest(transport: Any) -> bytes:
    """Receive what is there."""
    place = Place()
    while transport.receive(place, False):
        pass
    return place.received


def test_bytes_arrive(pair: TlsPair) -> None:
    """What is sent at one end, in several buffers, arrives at the other, and both note how much it was."""
    sent: list[int] = []
    place = Place()
    assert pair.here.send(sent, [b"one", memoryview(b" two"), b"", b" three"], True)
    assert pair.there.receive(place, True)

    assert (sent, place.pieces) == ([13], [b"one two three"])


def test_nothing_is_in_clear(pair: TlsPair) -> None:
    """What leaves the transport cannot be read."""
    pair.here.send([], [b"a secret text"], True)

    assert b"secret" not in pair.there.socket.recv(4096, socket.MSG_PEEK)


def test_bytes_go_to_their_place(pair: TlsPair) -> None:
    """A receiver that knows the place of the next bytes gets them there, and the rest after that."""
    data = os.urandom(50_000)
    place = Place(20_001)
    thread = threading.Thread(target=send_all, args=(pair.here, data))
    thread.start()
    assert receive_all(pair.there, len(data), place) == data
    thread.join()

    assert sum(place.counts) == 20_001


def test_much_in_both_directions(pair: TlsPair) -> None:
    """Several megabytes pass in both directions at once: one thread sends while another receives."""
    data = os.urandom(5_000_000)
    received: list[bytes] = []
    threads = [threading.Thread(target=send_all, args=(each, data)) for each in pair]
    threads += [
        threading.Thread(target=lambda each=each: received.append(receive_all(each, len(data))))
        for each in pair
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert received == [data, data]


def test_descriptors_tell_the_truth(pair: TlsPair) -> None:
    """After a reception nothing is left in the transport: a descriptor that is not readable has nothing."""
    for number in range(20):
        pair.here.send([], [b"%d" % number * 1000], True)
    place = Place()
    while wait(pair.there.fileno(), -1, 0)[0]:
        assert pair.there.receive(place, False)

    assert len(place.received) == 10 * 1000 + 10 * 2000
    assert not pair.there.receive(place, False)


def test_sent_means_left(pair: TlsPair) -> None:
    """Bytes are noted as sent only when all of their ciphertext has left, also when the kernel is full."""
    sent: list[int] = []
    while pair.here.send(sent, [bytes(200_000)], False):
        pass
    left: list[int] = []
    assert not pair.here.send(left, [bytes(200_000)], False)
    assert left == []

    def finish() -> None:
        while not left:
            pair.here.send(left, [bytes(200_000)], True)

    thread = threading.Thread(target=finish)
    thread.start()
    whole = receive_all(pair.there, sum(sent) + 1)
    thread.join()
    while len(whole) < sum(sent + left):
        whole += receive_all(pair.there, 1)

    assert whole == bytes(sum(sent + left))


@pytest.mark.parametrize("size", [1, 100, 16384, 16385, 100_000])
def test_handler_within_encryption(pair: TlsPair, size: int) -> None:
    """A signal handler that raises when something was encrypted, and its size not returned, loses nothing."""
    data = os.urandom(size)
    sent: list[int] = []
    LosingSteps(pair.here, Interrupted())
    with pytest.raises(Interrupted):
        pair.here.send(sent, [data], True)
    assert sent == []
    while sum(sent) < size:
        pair.here.send(sent, [memoryview(data)[sum(sent) :]], True)

    assert sum(sent) == size
    assert receive_all(pair.there, size) == data


@pytest.mark.parametrize("room", [0, 10_000, 100_000])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_handler_within_decryption(pair: TlsPair, at: int, room: int) -> None:
    """A signal handler that raises when a record was decrypted, and its size not returned, loses nothing."""
    data = os.urandom(60_000)
    send_all(pair.here, data)
    place = Place(room)
    losing = LosingSteps(pair.there, Interrupted())
    losing.left = at
    with pytest.raises(Interrupted):
        receive_all(pair.there, len(data), place)

    assert receive_all(pair.there, len(data), place) == data


def test_interrupts_of_sending(pair: TlsPair) -> None:
    """An exception between any two lines of sending loses nothing and repeats nothing."""
    data = bytes(range(256)) * 10
    for number in itertools.count(1):
        sent: list[int] = []
        with interrupt_at(tls_module, number) as interruption:
            pair.here.send(sent, [data], True)
        if not interruption.struck:
            break
        while sum(sent) < len(data):
            pair.here.send(sent, [memoryview(data)[sum(sent) :]], True)
        assert sent == [len(data)]
        assert receive_all(pair.there, len(data)) == data
        assert receive_rest(pair.there) == b""
    assert number > 10


@pytest.mark.parametrize("room", [0, 700, 5000])
def test_interrupts_of_receiving(pair: TlsPair, room: int) -> None:
    """An exception between any two lines of receiving loses nothing and repeats nothing."""
    data = bytes(range(256)) * 10
    for number in itertools.count(1):
        send_all(pair.here, data)
        send_all(pair.here, data)
        place = Place(room)
        with interrupt_at(tls_module, number) as interruption:
            receive_all(pair.there, 2 * len(data), place)
        assert receive_all(pair.there, 2 * len(data), place) == data + data
        assert receive_rest(pair.there) == b""
        if not interruption.struck:
            break
    assert number > 20


def test_handler_sends_while_its_thread_receives(pair: TlsPair) -> None:
    """A signal handler may send while it interrupts the decryption: the lock knows its thread."""
    pair.here.send([], [b"question"], True)
    decrypt = vars(pair.there)["_decrypt_step"]

    def step(size: int, space: memoryview) -> int:
        count: int = decrypt(size, space)
        pair.there.send([], [b"answer"], True)
        return count

    vars(pair.there)["_decrypt_step"] = step

    assert receive_all(pair.there, 8) == b"question"
    assert receive_all(pair.here, 6) == b"answer"


def test_changed_record(pair: TlsPair) -> None:
    """A record that was changed on its way ends the connection."""
    pair.here.send([], [b"something"], True)
    record = bytearray(pair.there.socket.recv(4096))
    record[-1] ^= 1
    pair.here.socket.send(record)
    with pytest.raises(RemoteProtocolError, match="was not sent by the peer, or was changed on its way"):
        pair.there.receive(Place(), True)


def test_repeated_record(pair: TlsPair) -> None:
    """A record that comes twice ends the connection, after its first content."""
    pair.here.send([], [b"something"], True)
    pair.here.socket.send(pair.there.socket.recv(4096, socket.MSG_PEEK))
    with pytest.raises(RemoteProtocolError):
        receive_all(pair.there, 10)


def test_no_record(pair: TlsPair) -> None:
    """Bytes that are not TLS end the connection."""
    pair.here.socket.send(b"GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="not TLS"):
        pair.there.receive(Place(), True)


def test_end(pair: TlsPair) -> None:
    """The end of the stream is the end, even in the middle of a record; the last words are found."""
    pair.here.send([], [b"whole"], True)
    pair.here.socket.send(b"\x17\x03\x03\x10\x00the beginning")
    pair.here.socket.send(pack_last_words("signal 9 (SIGKILL)"))
    pair.here.socket.shutdown(socket.SHUT_WR)
    place = Place()
    with pytest.raises(EndOfStream):
        while True:
            pair.there.receive(place, True)

    assert place.received == b"whole"
    assert explain_last_words(pair.there.unread) == "the process there was ended by signal 9 (SIGKILL)"


def test_last_words_alone(pair: TlsPair) -> None:
    """Last words behind a record are no error; they are kept until the end."""
    pair.here.socket.send(pack_last_words("status 3"))
    pair.here.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(EndOfStream):
        while True:
            pair.there.receive(Place(), True)

    assert explain_last_words(pair.there.unread) == "the process there has ended itself with status 3"


@pytest.mark.parametrize("size", [0, 10])
def test_end_of_tls(pair: TlsPair, size: int) -> None:
    """Where the peer ends TLS after an answer, in the same reception, the answer comes before the end."""
    pair.here.send([], [b"the answer"], True)
    pair.here.socket.send(end_tls(pair.here))
    place = Place(size)
    receive_all(pair.there, 10, place)
    assert place.received == b"the answer"
    for _ in range(2):
        with pytest.raises(EndOfStream, match="the peer ended TLS"):
            pair.there.receive(Place(), False)


def test_nothing_after_the_end_of_tls(pair: TlsPair) -> None:
    """Records behind the end of TLS are no content."""
    end = end_tls(pair.here)
    pair.here.socket.send(end + end)
    with pytest.raises(EndOfStream):
        pair.there.receive(Place(), True)


@pytest.mark.parametrize("kind", [20, 21, 22])
def test_record_in_clear(pair: TlsPair, kind: int) -> None:
    """Nobody between the ends can end TLS in clear, or begin it again."""
    pair.here.send([], [b"the answer"], True)
    pair.here.socket.send(bytes([kind, 3, 3, 0, 2, 1, 0]))
    pair.here.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(RemoteProtocolError, match="was not sent by the peer"):
        receive_all(pair.there, 11)


def test_shutdown(pair: TlsPair) -> None:
    """Shutting down ends both directions."""
    pair.here.shutdown()
    with pytest.raises(EndOfStream):
        pair.there.receive(Place(), True)


def test_leaked_lock(pair: TlsPair) -> None:
    """A lock that an interrupt left taken is given back by the thread that has it."""
    lock = vars(pair.here)["_lock"]
    lock.acquire()
    pair.here.release_leaked()

    assert not lock.is_mine()
