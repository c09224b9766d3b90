"""States that a test cannot bring about from outside, at least not surely: what an interrupt has left half done, a
thread in the middle of something, numbers that are reached only after years. Only this file sets private attributes
for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from easycluster_protocol._objects import exports
from easycluster_protocol._wire import receiver as receiver_module
from easycluster_protocol._wire.sender import Sender


@contextmanager
def registrations_restored() -> Iterator[None]:
    """What is registered inside as server class or singleton is forgotten at the end."""
    registered, singletons = dict(exports._registered), dict(exports._singletons)
    yield
    exports._registered.clear()
    exports._registered.update(registered)
    exports._singletons.clear()
    exports._singletons.update(singletons)
    exports._exports_by_class.clear()


@contextmanager
def received_to_their_place(size: int) -> Iterator[None]:
    """Frames of which ``size`` bytes or more are missing are received to their place, others by way of the inbox."""
    before = receiver_module._MIN_DIRECT_BYTES
    receiver_module._MIN_DIRECT_BYTES = size
    try:
        yield
    finally:
        receiver_module._MIN_DIRECT_BYTES = before


def number_next_stream(sender: Sender, number: int) -> None:
    """The sender has sent so many large messages that the next one gets this number."""
    sender._streams = itertools.count(number)
