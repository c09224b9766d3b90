from __future__ import annotations

import pytest

from easycluster_protocol._wire import frames, messages as m
from easycluster_protocol._wire.authenticator import Authenticator
from easycluster_protocol._wire.frame_reader import FrameReader
from easycluster_protocol._wire.frames import parse_header
from easycluster_protocol._wire.messages import Message, pack_head
from easycluster_protocol._wire.sender import seal
from easycluster_protocol.errors import RemoteProtocolError
from helpers.pair import KEY

BODY = b"0123456789" * 1000


def frame(sequence: int, kind: int, number: int, payload: bytes) -> bytes:
    """A frame of a keyed connection."""
    return b"".join(seal(Authenticator(KEY), sequence, kind, number, payload))


@pytest.mark.parametrize("end_directly", [False, True])
def test_frames_may_be_read_again(end_directly: bool) -> None:
    """Reading a frame again, as after an interrupt, has the same effect as the first time."""
    reader = FrameReader(Authenticator(KEY), False)
    message = Message(m.CALL, 1, BODY, 2, [b"buffer"], [3], [(4, 5)])
    last = frame(3, frames.DATA, 7, b"buffer")
    for sequence, (kind, payload) in enumerate([(frames.BEGIN, pack_head(message)), (frames.DATA, BODY)]):
        data = frame(sequence, kind, 7, payload)
        for _ in range(2):
            assert reader.read(data, len(data), sequence, parse_header(data[:16])) == ((), None)
    small = Message(m.PING, 8)
    data = frame(2, frames.MESSAGES, 0, pack_head(small) * 2)
    for _ in range(2):
        messages, number = reader.read(data, len(data), 2, parse_header(data[:16]))
        assert (list(messages), number) == ([small, small], None)
    for _ in range(2):
        if end_directly:
            fill = reader.begin_direct(last[:-3], 0, 3, parse_header(last[:16]))
            fill.rest[:] = last[-3:]
    for _ in range(2):
        found = (
            reader.finish_direct(fill, 3)
            if end_directly
            else reader.read(last, len(last), 3, parse_header(last[:16]))
        )
        assert found == ((message,), 7)

    assert list(reader.streams) == [7]


def test_what_was_changed_is_refused() -> None:
    """A frame whose place differs from its number is refused, however it is received."""
    reader = FrameReader(Authenticator(KEY), False)
    begin = frame(0, frames.BEGIN, 7, pack_head(Message(m.CALL, 1, BODY)))
    reader.read(begin, len(begin), 0, parse_header(begin[:16]))
    data = frame(2, frames.DATA, 7, BODY)

    with pytest.raises(RemoteProtocolError, match="frame 1 was not sent by the holder of the key"):
        reader.read(data, len(data), 1, parse_header(data[:16]))
    fill = reader.begin_direct(data[:100], 0, 1, parse_header(data[:16]))
    fill.rest[:] = data[100:]
    with pytest.raises(RemoteProtocolError, match="frame 1 was not sent by the holder of the key"):
        reader.finish_direct(fill, 1)
