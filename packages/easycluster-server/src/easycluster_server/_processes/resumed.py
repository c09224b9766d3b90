"""The client's code begins here, in the process of a server of another version; see `upgrade`.

The server has run the handshake, with its own code, and then started this process. It may be older or newer
than this code: everything that it passes on may be missing, and there may be more.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

from easycluster_protocol._handshake.hello import Agreement, Hello
from easycluster_server._io.tls_server_files import ServerFiles
from easycluster_server._io.transport import SocketTransport
from easycluster_server._system.replacing import take_over_session
from easycluster_server._system.stdio import run_guardian_and_worker

from .worker import serve_connection

if TYPE_CHECKING:
    from .worker import Config


def main(_: bytes) -> None:
    """Serve the connection that the server has left; does not return."""
    connection, session, tell = take_over_session()
    run_guardian_and_worker(
        SocketTransport(connection),
        partial(serve_connection, partial(read_config, session)),
        (session,),  # which brings the session's keys: the worker alone is to know them
        tell,
    )


def read_config(descriptor: int) -> Config:
    """Return the worker's configuration, from what the server has left."""
    with open(descriptor, "rb") as file:
        session = json.loads(file.read().decode())
    importer = sys.modules["easycluster_bootstrap"]
    agreement = Agreement(
        Hello(),
        session.get("pickle_protocol", 4),
        session.get("compress", False),
        bytes.fromhex(session.get("to_client", "")) or None,
        bytes.fromhex(session.get("to_server", "")) or None,
        bytes.fromhex(session.get("session", "")),
    )
    if session.get("tls"):
        way, secret = session["tls"]
        agreement.tls = way, bytes.fromhex(secret)
    files = session.get("tls_files")
    profile = session.get("profile", "")

    def begin() -> None:
        importer.restore_path()
        if profile:
            from .profiling import profile_calls

            profile_calls(profile)

    return {
        "agreement": agreement,
        "peer": session.get("peer", ""),
        "verbosity": session.get("verbosity", 0),
        "before_calls": begin,
        "add_modules": importer.add,
        "tls": ServerFiles(*files) if files and files[0] else None,
    }
