"""The two processes of a connection: how guardian and worker are made, and the worker's environment.

`run_pair` forks: the calling process becomes the guardian, its child the worker. Neither returns.
"""

from __future__ import annotations

import atexit
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict

from easycluster_protocol._handshake.hello import WELCOME, describe_self, pack_packet
from easycluster_server._io.transport import wait
from easycluster_server._system import control, this_process
from easycluster_server._system.this_process import report

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # all that is needed of it: the other half takes 3 ms to import

if TYPE_CHECKING:
    from easycluster_protocol._handshake.hello import Hello
    from easycluster_protocol._wire.link import Link

    #: What the worker is told about its session. All keys are optional:
    #: environ, cwd, umask, path, argv: as for a fresh process; session: what the handshake in the
    #: listener agreed on; leftover: bytes after that handshake; client: what the client says of itself, where
    #: that came another way than by its HELLO; before_calls: called when the first call has come;
    #: add_modules: takes modules that the client sends later; verbosity: 2 logs calls; peer: who calls, for
    #: that log.
    Config = Dict[str, Any]


#: Seconds that a worker has the processors for itself at first. What its guardian would do in that time, it
#: does behind it.
_HEAD_START = 0.1


def run_pair(transport: Any, read_config: Callable[[], Config], keep: Any) -> None:
    """Become the guardian of a new worker that serves ``transport``; does not return.

    Args:
        transport: the connection.
        read_config: called in the worker, which alone shall know the session's keys.
        keep: the descriptors that the guardian must not hold, to be closed in it.
    """
    status = 1
    try:
        this_process.become_subreaper()
        reading, writing = os.pipe()
        guardian = os.getpid()
        worker = os.fork()
        if worker == 0:
            os.close(reading)
            this_process.die_with_parent(guardian)
            control.set_control(writing)
            status = _work(transport, read_config)
        else:
            os.close(writing)
            if "easycluster_server._processes.guardian" not in sys.modules:  # over ssh it has to be compiled
                # The worker has more to compile, for which somebody waits. When it ends this does, too.
                wait(reading, -1, _HEAD_START)
            from .guardian import Guardian

            for descriptor in keep:
                os.close(descriptor)
            Guardian(worker, transport, reading).watch()
            status = 0
    except BaseException as error:
        report(error)
    finally:
        os._exit(status)


def _work(transport: Any, read_config: Callable[[], Config]) -> int:
    os.setsid()
    config = read_config()
    try:
        link = _open_link(config, transport)
    except OSError as error:  # the client left, or is none of ours
        sys.stderr.write(f"easycluster: {error}\n")
        return 1
    fresh_environment(config)
    this_process.buffer_lines()
    from easycluster_server._serving.session import Session

    def make_caller() -> Any:
        return _make_caller(config, link.agreement.pickle_protocol)

    add_modules = config.get("add_modules", _add_modules)
    Session(link, transport, control.report_end, make_caller, add_modules).serve()
    transport.close()
    _leave()
    return 0


def _open_link(config: Config, transport: Any) -> Link:
    own: Any = {"process": os.getpid(), "host": os.uname().nodename}
    if "client" in config:
        return _welcome(config["client"], describe_self(**own), transport)
    from easycluster_protocol._wire.link import SERVER, Link

    if "session" in config:
        return Link(SERVER, config["session"], config.get("leftover", b""))
    # Not sent over ssh, or not at once.
    from easycluster_protocol._handshake.server import ServerHandshake
    from easycluster_server._io.handshake import shake_hands

    return shake_hands(ServerHandshake(None, **own), transport, SERVER)


def _welcome(client: Hello, own: Hello, transport: Any) -> Link:
    """Answer a client that has sent this server; while what follows is compiled, its first call comes."""
    this_process.write(transport.write_fileno(), pack_packet(WELCOME, own))
    from easycluster_protocol._handshake.hello import agree
    from easycluster_protocol._wire.link import SERVER, Link

    return Link(SERVER, agree(own, client))


def _add_modules(packed: Any) -> None:
    from easycluster_server._serving.sent_modules import (
        supplied,  # needless where the bootstrap has an importer already
    )

    supplied.add(packed)


def _make_caller(config: Config, pickle_protocol: int) -> Any:
    # Over ssh it comes just ahead of the first call.
    from easycluster_server._serving.calls import make_caller

    config.get("before_calls", int)()
    return make_caller(pickle_protocol, config.get("verbosity", 0), config.get("peer", "local"))


def fresh_environment(config: Config) -> None:
    """Make this forked process look like one that was started anew.

    It never held a key, a listening socket or another connection, because its ancestor did not;
    what remains are the traces of that ancestor's own work.
    """
    for number in range(1, signal.NSIG):
        try:
            if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, getattr(signal, "SIGXFSZ", 0)):
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):  # not a signal of this system
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
        sys.stderr.write(f"easycluster: the working folder {path!r} cannot be used: {error}\n")


def _leave() -> None:
    """End as a script does: threads of the user's that are no daemons are not waited for, since the
    client is gone, but ``atexit`` functions run and output is flushed."""
    try:
        atexit._run_exitfuncs()
    except BaseException as error:
        report(error)
    this_process.flush_output()
