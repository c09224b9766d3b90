"""The process of a connection: it opens the link, serves, and ends as a script does."""

from __future__ import annotations

import atexit
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Callable, Optional

from easycluster_protocol._handshake.hello import WELCOME, Hello, describe_self, pack_packet
from easycluster_server._system import control, host_name, reset_signals, this_process, write_all
from easycluster_server._system.output import standard_error
from easycluster_server._system.this_process import report

if TYPE_CHECKING:
    from typing import Dict, List, Optional, TypedDict  # novm

    from easycluster_protocol._handshake.hello import Agreement
    from easycluster_protocol._types import Buffer
    from easycluster_protocol._wire.link import Link
    from easycluster_server._io.tls_server_files import ServerFiles
    from easycluster_server._io.transport import Transport
    from easycluster_server._serving.calls import CallRunner
    from easycluster_server._serving.session_log import SessionLog

    class Config(TypedDict, total=False):
        """A worker's configuration."""

        #: As for a new process.
        environ: Dict[str, str]
        cwd: str
        umask: int
        path: List[str]
        argv: List[str]
        #: The result of the handshake in the listener, its last packet, which is still to be sent, and the
        #: bytes that came after it.
        agreement: Agreement
        welcome: bytes
        leftover: bytes
        #: Takes rights away from the process before anything of the client runs.
        confine: Callable[[Transport], object]
        #: Whether it becomes another user.
        changes_user: bool
        #: The key of the code that the client will send, and the process is to become, see `upgrade`.
        code_key: bytes
        #: The client's description of itself, where that came another way than by its HELLO.
        client: Hello
        #: Called when the first call has come.
        before_calls: Callable[[], object]
        #: Takes modules that the client sends later.
        add_modules: Callable[[Buffer], None]
        #: 1 logs that the client goes, 2 logs calls as well, with the name of the peer.
        verbosity: int
        #: Where `before_calls` lets profiles be written, if it does that.
        profile: str
        peer: str
        #: The server's files for TLS by certificate.
        tls: Optional[ServerFiles]


def serve_connection(read_config: Callable[[], Config], transport: Transport) -> int:
    """Serve the connection; return the status of the process.

    Args:
        read_config: returns the configuration, with the keys of the session.
        transport: the connection.
    """
    config = read_config()
    try:
        config.get("confine", id)(transport)
        link = _open_link(config, transport)
        if link.agreement.tls:
            from easycluster_server._io.tls_handshake import secure_worker

            transport = secure_worker(link, transport, config.get("tls"), config.get("peer"))
    except OSError as error:  # the client has left, or does not speak our protocol
        _make_log(config)  # whose lines have the time
        standard_error.say(error)
        control.report_end(control.LOST)
        return 1
    reset_environment(config)
    this_process.buffer_lines()
    from easycluster_server._serving.idle_session import IdleSession

    log = _make_log(config)

    def make_runner() -> CallRunner:
        return _make_runner(config, link.agreement.pickle_protocol, log)

    def report_end(outcome: str) -> None:
        control.report_end(outcome)
        if log is not None:
            log.end(outcome)

    add_modules = config.get("add_modules", _add_modules)
    arrived = IdleSession(link, transport, report_end, add_modules).wait_for_call()
    if arrived:
        # Over ssh it comes just ahead of the first call.
        from easycluster_server._serving.session import Session

        Session(link, transport, report_end, make_runner, add_modules).serve(arrived)
    transport.close()
    _finish_as_script()
    return 0


def _open_link(config: Config, transport: Transport) -> Link:
    process, host = os.getpid(), host_name()
    if "client" in config:
        return _welcome(config["client"], describe_self(process=process, host=host), transport)
    from easycluster_protocol._wire.link import SERVER, Link

    if "agreement" in config:
        write_all(transport.write_fileno(), config.get("welcome", b""))
        return Link(SERVER, config["agreement"], config.get("leftover", b""))
    # Over ssh these modules are not sent, or not at first.
    from easycluster_protocol._handshake.server import ServerHandshake
    from easycluster_server._io.handshake import shake_hands

    return shake_hands(ServerHandshake(None, process=process, host=host), transport, SERVER)


def _welcome(client: Hello, own: Hello, transport: Transport) -> Link:
    """Answer a client that has sent this server: its first call comes while the rest is compiled."""
    write_all(transport.write_fileno(), pack_packet(WELCOME, own))
    from easycluster_protocol._handshake.hello import agree
    from easycluster_protocol._wire.link import SERVER, Link

    return Link(SERVER, agree(own, client))


def _add_modules(packed: Buffer) -> None:
    # Where the bootstrap has an importer it is not needed.
    from easycluster_server._serving.sent_modules import sent_modules

    sent_modules.add(packed)


def _make_log(config: Config) -> Optional[SessionLog]:
    # Behind a standalone server every line has a time stamp. Over ssh there is no log.
    if "peer" not in config and not config.get("verbosity"):
        return None
    from easycluster_server._serving.session_log import SessionLog

    return SessionLog(config.get("peer", "local"), config.get("verbosity", 0))


def _make_runner(config: Config, pickle_protocol: int, log: Optional[SessionLog]) -> CallRunner:
    # Over ssh it comes just ahead of the first call.
    from easycluster_server._serving.calls import make_runner
    from easycluster_server._serving.exec_guard import refuse_exec
    from easycluster_server._serving.spawned_children import watch

    refuse_exec()
    watch()
    config.get("before_calls", int)()
    return make_runner(pickle_protocol, log)


def reset_environment(config: Config) -> None:
    """Make this process look like one that was just started.

    It never held a key, a listening socket or another connection, because its ancestor did not. What remains
    are the traces of that ancestor's own work.
    """
    reset_signals()
    sys.modules["__main__"] = ModuleType("__main__")
    sys.argv = list(config.get("argv", [""]))
    if "random" in sys.modules:
        sys.modules["random"].seed()
    if "environ" in config:
        os.environ.clear()
        os.environ.update(config["environ"])
    if "path" in config:
        sys.path[:] = config["path"]
    if "umask" in config:
        os.umask(config["umask"])
    if "cwd" in config:
        _change_folder(config["cwd"])


def _change_folder(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        standard_error.say(f"the working folder {path!r} cannot be used: {error}")


def _finish_as_script() -> None:
    """Do what a script does at its end: run ``atexit`` functions and flush the output.

    It does not wait for the user's threads that are not daemons, because the client is gone.
    """
    try:
        atexit._run_exitfuncs()
    except BaseException as error:
        report(error)
    this_process.flush_output()
