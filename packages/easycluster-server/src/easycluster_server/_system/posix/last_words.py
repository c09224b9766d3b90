"""How a guardian tells a client that its worker ended without a word."""

from __future__ import annotations

import os

from easycluster_protocol._wire.last_words import pack_last_words

from .transport import wait


def say_last_words(descriptor: int, end: str) -> None:
    """Tell the client how a worker ended, unless that would take time.

    Args:
        descriptor: leads to the client.
        end: see `pack_last_words`.
    """
    try:
        if wait(-1, descriptor, 0)[1]:  # a socket with room takes so few bytes at once
            os.write(descriptor, pack_last_words(end))
    except OSError:  # the client has left
        pass
