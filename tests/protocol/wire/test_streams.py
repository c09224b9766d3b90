from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol._wire import streams
from easycluster_protocol._wire.messages import CALL, Message, pack_head
from easycluster_protocol._wire.streams import IncomingStream
from easycluster_protocol.errors import RemoteProtocolError

#: The number of the BEGIN frame; those of its DATA frames need only be others.
BEGIN = 1_000


def begin(*parts: int) -> IncomingStream:
    """A large message of a body and buffers of these sizes, of which nothing has come yet."""
    body, *buffers = map(bytes, parts)
    return IncomingStream(pack_head(Message(CALL, 1, body, buffers=buffers)), BEGIN)


def fill(stream: IncomingStream, sequence: int, data: bytes) -> None:
    """Receive one frame, as the receiver does."""
    target = stream.find_place(sequence, len(data))
    assert target is not None
    target[:] = data
    stream.count(sequence, len(data))


def test_parts_arrive_in_order() -> None:
    """Body and buffers are filled one after the other, in frames of any size, empty ones left out."""
    stream = begin(3, 0, 4, 0)
    for sequence, data in enumerate([b"ab", b"c", b"d", b"ef", b"g"]):
        assert not stream.is_complete
        fill(stream, sequence, data)

    assert stream.is_complete
    message = stream.finish()
    assert bytes(message.body) == b"abc"
    assert [bytes(buffer) for buffer in message.buffers] == [b"", b"defg", b""]
    assert message.damage is None


def test_received_parts_can_be_written_to() -> None:
    """A buffer belongs to the value that is made of it: an array that arrived is not read-only."""
    stream = begin(1, 1)
    fill(stream, 0, b"a")
    fill(stream, 1, b"b")

    message = stream.finish()

    body, buffer = message.body, message.buffers[0]
    assert isinstance(body, memoryview)
    assert not body.readonly
    assert isinstance(buffer, memoryview)
    buffer[0] = ord("c")
    assert bytes(buffer) == b"c"


@pytest.mark.parametrize("parts", [[0], [0, 0, 0]])
def test_empty_messages_are_complete_at_once(parts: list[int]) -> None:
    """A message whose parts are all empty needs no DATA frame."""
    stream = begin(*parts)

    assert stream.is_complete
    assert bytes(stream.finish().body) == b""


@pytest.mark.parametrize(
    ("received", "length"), [([], 0), ([], 4), ([b"ab"], 2), ([b"abc"], 5), ([b"abc"], 0)]
)
def test_frames_that_do_not_fit(received: list[bytes], length: int) -> None:
    """A frame that is empty, or crosses the end of a part, is refused."""
    stream = begin(3, 4)
    for sequence, data in enumerate(received):
        fill(stream, sequence, data)

    with pytest.raises(RemoteProtocolError, match="does not fit the message"):
        stream.find_place(len(received), length)


def test_frames_after_the_last() -> None:
    """A message that is complete takes nothing more."""
    stream = begin(1)
    fill(stream, 0, b"a")

    with pytest.raises(RemoteProtocolError, match="does not fit the message"):
        stream.find_place(1, 1)


def test_begin_holds_an_envelope_only() -> None:
    """Bytes after the envelope in a BEGIN frame are refused."""
    with pytest.raises(RemoteProtocolError, match="more than an envelope"):
        IncomingStream(pack_head(Message(CALL, 1, b"body")) + b"b", BEGIN)


def test_a_repeated_frame_counts_once() -> None:
    """A frame whose counting was interrupted, and is done again, counts once."""
    stream = begin(2, 2)
    for sequence, data in enumerate([b"ab", b"c", b"d"]):
        fill(stream, sequence, data)
        assert stream.find_place(sequence, len(data)) is None
        stream.count(sequence, len(data))

    message = stream.finish()

    assert bytes(message.body) == b"ab"
    assert bytes(message.buffers[0]) == b"cd"


def test_no_memory_is_asked_for_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a part is asked for when its first bytes come, and not when its length is announced."""
    asked: list[int] = []

    def allocate(size: int) -> memoryview:
        asked.append(size)
        return memoryview(bytearray(size))

    monkeypatch.setattr(streams, "allocate", allocate)
    stream = begin(2, 100)

    assert asked == []
    fill(stream, 0, b"a")
    assert asked == [2]
    fill(stream, 1, b"b")
    assert asked == [2]
    fill(stream, 2, b"c")
    assert asked == [2, 100]


@pytest.mark.parametrize("error", [MemoryError, OverflowError, ValueError])
def test_parts_that_are_too_large(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """Where there is no memory for a part, the message is received to nowhere and says so: that call fails,
    the connection lives."""

    def allocate(size: int) -> memoryview:
        if size > 10:
            raise error
        return memoryview(bytearray(size))

    monkeypatch.setattr(streams, "allocate", allocate)
    stream = begin(2, 100, 2)
    fill(stream, 0, b"ab")
    for sequence in range(1, 101):
        assert stream.find_place(sequence, 1) is None
        stream.count(sequence, 1)
    assert stream.find_place(101, 2) is None
    stream.count(101, 2)

    assert stream.is_complete
    message = stream.finish()
    assert message.damage == "there is no memory for 100 bytes"
    assert (message.kind, message.request) == (CALL, 1)
    assert (bytes(message.body), list(message.buffers)) == (b"", [])


def test_lengths_that_no_machine_has() -> None:
    """The largest length that the wire knows costs the message, and nothing else."""
    head = bytearray(pack_head(Message(CALL, 1)))
    head[32:40] = b"\xff" * 8
    stream = IncomingStream(bytes(head), BEGIN)

    assert stream.find_place(0, 1) is None

    assert stream.message.damage is not None


def test_allocate_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy is not loaded, memory is a bytearray."""
    monkeypatch.delitem(sys.modules, "numpy", raising=False)

    view = streams.allocate(OUT_OF_BAND_BYTES)

    assert isinstance(view.obj, bytearray)
    assert (view.nbytes, view.format, view.readonly) == (OUT_OF_BAND_BYTES, "B", False)


def test_allocate_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy is loaded, large memory is an array of bytes, and small memory is not."""
    import numpy as np

    monkeypatch.setitem(sys.modules, "numpy", np)

    view = streams.allocate(OUT_OF_BAND_BYTES)

    assert isinstance(view.obj, np.ndarray)
    assert (view.nbytes, view.format, view.readonly) == (OUT_OF_BAND_BYTES, "B", False)
    assert isinstance(streams.allocate(OUT_OF_BAND_BYTES - 1).obj, bytearray)


def test_allocate_while_numpy_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another thread is importing NumPy, memory is a bytearray."""
    monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace())  # half a module

    assert isinstance(streams.allocate(OUT_OF_BAND_BYTES).obj, bytearray)
