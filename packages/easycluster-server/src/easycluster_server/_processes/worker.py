"""The two processes of a connection: how guardian and worker are made, and the worker's environment.

`run_guardian_and_worker` forks: the calling process becomes the guardian, its child the worker. Neither
returns.
"""

from __future__ import annotations

import atexit
import os
import sys
from os import _exit  # remote code may put something else in the place of `os._exit`
from types import ModuleType
from typing import TYPE_CHECKING, Callable, Iterable, Optional

from easycluster_protocol._handshake.hello import (
    REFUSE,
    VERSION,
    WELCOME,
    Hello,
    describe_self,
    pack_packet,
)
from easycluster_server._io.transport import wait
from easycluster_server._system import control, this_process
from easycluster_server._system.output import standard_error
from easycluster_server._system.this_process import report

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # the other half takes 3 ms to import, and is not needed

if TYPE_CHECKING:
    from typing import Dict, List, TypedDict  # novm

    from easycluster_protocol._handshake.hello import Agreement
    from easycluster_protocol._types import Buffer
    from easycluster_protocol._wire.link import Link
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
        #: The client's description of itself, where that came another way than by its HELLO.
        client: Hello
        #: Called when the first call has come.
        before_calls: Callable[[], object]
        #: Takes modules that the client sends later.
        add_modules: Callable[[Buffer], None]
        #: 1 logs that the client goes, 2 logs calls as well, with the name of the peer.
        verbosity: int
        peer: str


#: Head start in seconds: the guardian compiles its own modules only after this.
_HEAD_START = 0.1


def run_guardian_and_worker(
    transport: Transport,
    read_config: Callable[[], Config],
    worker_descriptors: Iterable[int],
    tell: Callable[[str], object] = str,
) -> None:
    """Become the guardian of a new worker that serves ``transport``; does not return.

    Args:
        transport: the connection.
        read_config: called in the worker, which alone is to know the session's keys.
        worker_descriptors: descriptors that the guardian must not hold; they are closed in it.
        tell: called in the guardian, see `Guardian`.
    """
    status = 1
    try:
        standard_error.pin()
        this_process.become_subreaper()
        guardian = os.getpid()
        try:
            (reading, writing), wakeup = os.pipe(), os.pipe()
            worker = os.fork()
        except OSError as error:
            refuse(transport.write_fileno(), error)
            return
        if worker == 0:
            for descriptor in (reading, *wakeup):
                os.close(descriptor)
            this_process.die_with_parent(guardian)
            control.set_control(this_process.move_up(writing))
            status = _run_worker(transport, read_config)
        else:
            os.close(writing)
            if "easycluster_server._processes.guardian" not in sys.modules:  # over ssh it has to be compiled
                # The worker has more to compile, and the client waits for that. When the worker ends, so does
                # this wait.
                wait(reading, -1, _HEAD_START)
            from .guardian import Guardian

            for descriptor in worker_descriptors:
                os.close(descriptor)
            Guardian(worker, transport, reading, wakeup, tell).watch()
            status = 0
    except BaseException as error:
        report(error)
    finally:
        _exit(status)


def refuse(descriptor: int, error: object) -> None:
    """Tell a client that waits for WELCOME why there will be none.

    Args:
        descriptor: leads to the client.
        error: why no process can be started for it.
    """
    text = f"no process can be started for it: {error}"
    try:
        this_process.write_all(
            descriptor, pack_packet(REFUSE, Hello(code="process", text=text, version=VERSION))
        )
    except OSError:  # it has left
        pass


def _run_worker(transport: Transport, read_config: Callable[[], Config]) -> int:
    """Serve the connection; return the status of the process."""
    os.setsid()
    config = read_config()
    try:
        link = _open_link(config, transport)
    except OSError as error:  # the client has left, or does not speak our protocol
        standard_error.say(error)
        control.report_end(control.LOST)
        return 1
    reset_environment(config)
    this_process.buffer_lines()
    from easycluster_server._serving.session import Session

    log = _make_log(config)

    def make_runner() -> CallRunner:
        return _make_runner(config, link.agreement.pickle_protocol, log)

    def report_end(outcome: str) -> None:
        control.report_end(outcome)
        if log is not None:
            log.end(outcome)

    Session(link, transport, report_end, make_runner, config.get("add_modules", _add_modules)).serve()
    transport.close()
    _finish_as_script()
    return 0


def _open_link(config: Config, transport: Transport) -> Link:
    process, host = os.getpid(), os.uname().nodename
    if "client" in config:
        return _welcome(config["client"], describe_self(process=process, host=host), transport)
    from easycluster_protocol._wire.link import SERVER, Link

    if "agreement" in config:
        this_process.write_all(transport.write_fileno(), config.get("welcome", b""))
        return Link(SERVER, config["agreement"], config.get("leftover", b""))
    # Over ssh these modules are not sent, or not at first.
    from easycluster_protocol._handshake.server import ServerHandshake
    from easycluster_server._io.handshake import shake_hands

    return shake_hands(ServerHandshake(None, process=process, host=host), transport, SERVER)


def _welcome(client: Hello, own: Hello, transport: Transport) -> Link:
    """Answer a client that has sent this server: its first call comes while the rest is compiled."""
    this_process.write_all(transport.write_fileno(), pack_packet(WELCOME, own))
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
    """Make this forked process look like one that was just started.

    It never held a key, a listening socket or another connection, because its ancestor did not. What remains
    are the traces of that ancestor's own work.
    """
    for number in range(1, signal.NSIG):
        try:
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, getattr(signal, "SIGXFSZ", 0)):
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):  # this system has no such signal
            pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
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
