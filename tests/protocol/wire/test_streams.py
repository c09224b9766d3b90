from __future__ import annotations

import errno
import gc
import mmap
import sys
from types import SimpleNamespace

import numpy as np
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

    def allocate(size: int, sparing: bool) -> memoryview:
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

    def allocate(size: int, sparing: bool) -> memoryview:
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

    assert stream.damage is not None


@pytest.fixture
def no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not imported NumPy."""
    monkeypatch.delitem(sys.modules, "numpy", raising=False)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("has_mmap", [True, False])
@pytest.mark.parametrize("sparing", [True, False])
@pytest.mark.parametrize("size", [0, 1, 4096, 4097, OUT_OF_BAND_BYTES, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_allocate(size: int, sparing: bool, has_mmap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory of any size is zeros that can be written to, and the view alone keeps it."""
    if not has_mmap:
        monkeypatch.setattr(streams, "mmap", None)

    view = streams.allocate(size, sparing)

    assert (view.nbytes, view.format, view.readonly) == (size, "B", False)
    view[size // 2 :] = b"x" * (size - size // 2)
    gc.collect()
    assert bytes(view) == bytes(size // 2) + b"x" * (size - size // 2)


def test_allocate_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy is loaded, large memory is an array of bytes, unless it has to be spared, and small memory is
    not."""
    monkeypatch.setitem(sys.modules, "numpy", np)

    view = streams.allocate(OUT_OF_BAND_BYTES)

    assert isinstance(view.obj, np.ndarray)
    assert (view.nbytes, view.format, view.readonly) == (OUT_OF_BAND_BYTES, "B", False)
    assert isinstance(streams.allocate(OUT_OF_BAND_BYTES - 1).obj, bytearray)
    assert isinstance(streams.allocate(OUT_OF_BAND_BYTES, sparing=True).obj, mmap.mmap)


def test_allocate_while_numpy_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another thread is importing NumPy, memory is a bytearray."""
    monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace())  # half a module

    assert isinstance(streams.allocate(OUT_OF_BAND_BYTES).obj, bytearray)


@pytest.mark.usefixtures("no_numpy")
@pytest.mark.parametrize("sparing", [True, False])
def test_more_than_the_system_has(sparing: bool) -> None:
    """Memory that the system does not give is a MemoryError, as everywhere in Python."""
    with pytest.raises(MemoryError):
        streams.allocate(1 << 62, sparing)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_kernels_without_huge_pages(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that knows no huge pages does not mind; another error is not hidden."""

    class Memory(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(number, "for the test")

    monkeypatch.setattr(mmap, "mmap", Memory)
    monkeypatch.setattr(mmap, "MADV_NOHUGEPAGE", 15, raising=False)

    if number == errno.EINVAL:
        assert len(streams.allocate(5000, sparing=True)) == 5000
    else:
        with pytest.raises(OSError, match="for the test"):
            streams.allocate(5000, sparing=True)


def test_errors_of_handlers_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError that a signal handler raises while memory is asked for comes through."""

    def raise_it(*_: int) -> None:
        raise TimeoutError

    monkeypatch.setattr(mmap, "mmap", raise_it)

    with pytest.raises(TimeoutError):
        streams.allocate(5000, sparing=True)


def test_tables_stay_as_they_came() -> None:
    """Until a message is complete its envelope is held as it came, and the lengths are read from it; then the
    message has all its tables."""
    whole = Message(CALL, 1, b"a", 7, [b"b", b"", b"cd"], [5, 6], [(7, 8), (9, 10)])
    stream = IncomingStream(memoryview(pack_head(whole)), BEGIN)
    for sequence, data in enumerate([b"a", b"b", b"c", b"d"]):
        fill(stream, sequence, data)

    assert stream.finish() == whole
    assert stream.finish() == whole
