"""The tags of frames: HMAC-SHA256, one for each frame."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import struct
import sys

import pytest
from hypothesis import given, strategies as st

from easycluster_protocol._wire import authenticator as authenticator_module, frames
from easycluster_protocol._wire.authenticator import Authenticator
from easycluster_protocol.errors import RemoteProtocolError
from helpers.pair import FUZZ, KEY, OTHER_KEY


@FUZZ
@given(st.binary(max_size=64), st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16), st.binary())
def test_tag_is_hmac_sha256(key: bytes, sequence: int, header: bytes, payload: bytes) -> None:
    """The tag is HMAC-SHA256 of the standard library, cut to 16 bytes, over number, header and payload."""
    expected = hmac.new(key, struct.pack(">Q", sequence) + header + payload, hashlib.sha256).digest()[:16]
    authenticator = Authenticator(key)

    assert authenticator.tag(sequence, header, payload) == expected
    assert authenticator.tag(sequence, header, memoryview(payload)) == expected
    authenticator.check(sequence, header, payload, expected)


HEADER = frames.pack_header(frames.MESSAGES, 0, 0, 7)

TAG = Authenticator(KEY).tag(5, HEADER, b"payload")


@pytest.mark.parametrize(
    ("key", "sequence", "header", "payload", "tag"),
    [
        (OTHER_KEY, 5, HEADER, b"payload", TAG),
        (KEY, 4, HEADER, b"payload", TAG),
        (KEY, 6, HEADER, b"payload", TAG),
        (KEY, 5, frames.pack_header(frames.MESSAGES, 0, 1, 7), b"payload", TAG),
        (KEY, 5, HEADER, b"Payload", TAG),
        (KEY, 5, HEADER, b"payload\0", TAG),
        (KEY, 5, HEADER, b"payload", TAG[:15]),
        (KEY, 5, HEADER, b"payload", TAG + b"\0"),
        (KEY, 5, HEADER, b"payload", b""),
        (KEY, 5, HEADER, b"payload", bytes(16)),
    ],
    ids=[
        "key",
        "earlier",
        "later",
        "header",
        "payload",
        "longer",
        "short-tag",
        "long-tag",
        "no-tag",
        "zeros",
    ],
)
def test_a_tag_is_good_for_one_frame(
    key: bytes, sequence: int, header: bytes, payload: bytes, tag: bytes
) -> None:
    """Any other key, number, header, payload or tag is refused, and the message names the frame."""
    with pytest.raises(RemoteProtocolError, match=f"frame {sequence} was not sent by the holder of the key"):
        Authenticator(key).check(sequence, header, payload, tag)


@FUZZ
@given(st.binary(max_size=64), st.integers(0, 2**64 - 1), st.binary(max_size=100))
def test_tags_of_small_frames(key: bytes, sequence: int, payload: bytes) -> None:
    """The tag of a small frame is the same, whether its header and payload come in one piece or in two."""
    authenticator = Authenticator(key)
    header = frames.pack_messages_header(len(payload))
    tag = authenticator.tag(sequence, header, payload)

    assert authenticator.tag_small(sequence, header + payload) == tag
    assert authenticator.is_tag_of_small(tag, sequence, header + payload)
    assert not authenticator.is_tag_of_small(tag, sequence + 1 & 2**64 - 1, header + payload)
    assert not authenticator.is_tag_of_small(tag[::-1] + b"x", sequence, header + payload)


def test_tags_do_not_depend_on_each_other() -> None:
    """The state that is prepared once with the key is not changed by the frames."""
    authenticator = Authenticator(KEY)
    first = authenticator.tag(0, HEADER, b"payload")
    authenticator.tag_small(1, HEADER + b"other")

    assert authenticator.tag(0, HEADER, b"payload") == first


def test_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenSSL's HMAC does not exist, the one of the standard library makes the same tags."""
    monkeypatch.setitem(sys.modules, "_hashlib", None)
    try:
        importlib.reload(authenticator_module)
        assert vars(authenticator_module)["hmac_new"] is hmac.new
        tag = authenticator_module.Authenticator(KEY).tag(5, HEADER, b"payload")
    finally:
        monkeypatch.undo()
        importlib.reload(authenticator_module)

    assert tag == TAG
