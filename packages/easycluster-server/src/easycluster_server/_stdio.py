"""Serving one connection on standard input and output: the server behind ssh and other pipes."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, List

from easycluster_protocol._handshake.hello import Hello

from ._processes.worker import serve_connection
from ._system.stdio import run_guardian_and_worker, take_over

if TYPE_CHECKING:
    from ._processes.worker import Config


def main(config: bytes = b"") -> None:
    """Serve the connection on descriptors 0 and 1; does not return.

    Args:
        config: the client's description of itself, if it has sent this code: its highest pickle protocol and
            whether to compress (1 or 0), with a blank between. It then sends no HELLO. The two values of
            ``looks`` (see `Guardian`) may follow.

    The protocol moves to descriptors of its own at once. Afterwards standard input is empty and standard
    output is standard error, so nothing that the user's code or its children print can reach the protocol.
    """
    transport = take_over()
    settings: Config = {}
    looks: List[bytes] = []
    if config:
        first, second, *looks = config.split(b" ")
        pickle_protocol, compress = int(first), int(second)
        client = Hello(pickle_protocol=pickle_protocol, compress=compress, codecs="zlib")
        importer = sys.modules["easycluster_bootstrap"]
        settings = {
            "client": client,
            "before_calls": importer.restore_path,
            "add_modules": importer.add,
        }
    run_guardian_and_worker(
        transport, partial(serve_connection, lambda: settings), (), relays=True, looks=looks
    )
