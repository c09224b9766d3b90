"""What a connection's process may do: as which user it runs, with how much memory, and how urgently.

The guardian, its parent, stays as it is: so it can end whatever the worker leaves behind, and no process of
the worker's user can send it a signal or read its memory.
"""

from __future__ import annotations

import os
import pwd
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable, NamedTuple, Optional, Tuple

from easycluster_protocol.errors import ConnectError
from easycluster_server._system.package_folders import find_package_folders
from easycluster_server._system.refusal import refuse

from .libc import call, die_with_parent

if TYPE_CHECKING:
    from easycluster_server._system.transport_types import Transport

#: A worker that has done nothing takes some 20 MB.
_LEAST_MEMORY = 64 * 1024 * 1024

_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

#: Variables that lead to things of the user that the server runs as.
_FOREIGN_VARIABLES = ("MAIL", "XDG_RUNTIME_DIR", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS")

#: From 4.7 on, Linux counts a process's own writable memory; elsewhere the whole address space counts.
_MEMORY = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS


def reload_signals() -> Tuple[int, ...]:
    """Return the signals that let a server read its keys and lists again."""
    return (signal.SIGHUP,)


def is_all_powerful(run_as: Optional[str] = None) -> bool:
    """Return whether this process is root's, and stays so when it becomes the user of this name."""
    return os.geteuid() == 0 and (run_as is None or pwd.getpwnam(run_as).pw_uid == 0)


class User(NamedTuple):
    """A user of this system."""

    name: str
    uid: int
    gid: int
    groups: Tuple[int, ...]
    home: str
    shell: str


class Confinement:
    """Takes rights away from the process that calls it. It travels to workers by pickle.

    Args:
        run_as: the name of the user that the process is to run as; None: as it is.
        max_memory: the most bytes of memory that the process, and each of its children, may have.
        nice: what is added to the process's niceness.

    Raises:
        ValueError: there is no such user, or something is not possible; the text says why.
    """

    def __init__(
        self, run_as: Optional[str] = None, max_memory: Optional[int] = None, nice: Optional[int] = None
    ) -> None:
        if max_memory is not None and max_memory < _LEAST_MEMORY:
            raise ValueError(
                f"{max_memory} bytes are too few for a connection's process: max_memory must be at least"
                f" {_LEAST_MEMORY} (64M)"
            )
        hard = resource.getrlimit(_MEMORY)[1]
        is_bounded = hard != resource.RLIM_INFINITY and not _is_capable(1 << 24)  # CAP_SYS_RESOURCE
        if max_memory is not None and is_bounded and max_memory > hard:
            raise ValueError(
                f"connections cannot have {max_memory} bytes of memory: this server may have {hard} itself"
                " (ulimit -d or -v), and only root can raise that; choose a smaller max_memory (--max-memory)"
            )
        if nice is not None and nice < 0 and not _can_be_less_nice(nice):
            raise ValueError(
                f"connections cannot have the niceness {nice}: a server that is not root can only add to it,"
                " with a number above 0"
            )
        self._user = None if run_as is None else _find_user(run_as)
        self._max_memory = max_memory
        self._nice = nice
        if self._user is not None:
            _check_that_python_runs(self._user)

    @property
    def changes_user(self) -> bool:
        """Whether it makes the process another user's."""
        return self._user is not None

    def find_unreadable(self, paths: Iterable[Optional[str]]) -> Optional[str]:
        """Return the first of some files that the process could not read; None: there is none.

        Args:
            paths: the files; None is none.
        """
        if self._user is None:
            return None
        for path in filter(None, paths):
            code = "import os, sys; sys.exit(not os.access(sys.argv[1], os.R_OK))"
            if _run_python(self._user, code, os.path.abspath(path)).returncode != 0:
                return path
        return None

    def __bool__(self) -> bool:
        return any(each is not None for each in (self._user, self._max_memory, self._nice))

    def __call__(self, transport: Transport, before: Optional[Callable[[], object]] = None) -> None:
        """Take the rights away.

        Args:
            transport: leads to the client, who is told if that fails.
            before: called with the rights that the process has before; it may fail as this does.

        Raises:
            ConnectError: it failed; the client has been told.
        """
        try:
            if before is not None:
                before()
            self._apply()
        except (OSError, ValueError) as error:
            refuse(transport.write_fileno(), error)
            raise ConnectError(f"a connection's process cannot be confined: {error}") from error

    def _apply(self) -> None:
        if self._nice:
            os.nice(self._nice)
        if self._max_memory is not None:
            resource.setrlimit(_MEMORY, (self._max_memory, self._max_memory))
        if self._user is not None:
            guardian = os.getppid()
            _become(self._user)
            _settle(self._user)
            die_with_parent(guardian)  # changing the user has ended that


def _find_user(name: str) -> User:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f"connections cannot run as {name!r}: there is no such user") from None
    if not _can_change_user():
        raise ValueError(
            f"connections cannot run as {name!r}: the server has to run as root, or with the capabilities"
            " CAP_SETUID, CAP_SETGID and CAP_KILL"
        )
    if found.pw_gid == 0 and found.pw_uid != 0:
        raise ValueError(
            f"connections cannot run as {name!r}: the group of this user is that of root (number 0), whose"
            f" rights it would keep; give it another one (usermod -g GROUP {name}), or name another user"
        )
    groups = tuple(os.getgrouplist(name, found.pw_gid))
    return User(name, found.pw_uid, found.pw_gid, groups, found.pw_dir, found.pw_shell)


def _can_change_user() -> bool:
    # CAP_KILL, CAP_SETGID, CAP_SETUID. Without the first, a guardian ends no processes of the other user.
    return _is_capable(1 << 5 | 1 << 6 | 1 << 7)


def _can_be_less_nice(nice: int) -> bool:
    if _is_capable(1 << 23):  # CAP_SYS_NICE
        return True
    if sys.platform != "linux":
        return False
    limit = resource.getrlimit(resource.RLIMIT_NICE)[0]
    return limit == resource.RLIM_INFINITY or os.getpriority(os.PRIO_PROCESS, 0) + nice >= 20 - limit


def _is_capable(wanted: int) -> bool:
    """Return whether this process has all of the capabilities with these bits."""
    try:
        with open("/proc/self/status") as file:
            (line,) = [line for line in file if line.startswith("CapEff:")]
    except (OSError, ValueError):
        return is_all_powerful()
    return int(line.split()[1], 16) & wanted == wanted


def _become(user: User) -> None:
    """Become a user for good.

    Raises:
        OSError: that is not possible, or there is a way back.
    """
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)
    if user.uid == 0:
        return
    # A server that is not root, but has the capability to change the user, keeps it otherwise.
    call("prctl", _PR_SET_KEEPCAPS, 0, 0, 0, 0)
    call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _drop_capabilities()
    # Its memory has never held a key; debuggers and /proc work as for any other process of this user.
    call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
    for change in (os.setuid, os.setgid):
        try:
            change(0)
        except OSError:
            continue
        raise OSError(f"the process could become root again, not only {user.name!r}")


def _drop_capabilities() -> None:
    if sys.platform != "linux":
        return
    import ctypes  # only where the user changes

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    none = (ctypes.c_uint32 * 6)()
    capset: Any = getattr(ctypes.CDLL(None, use_errno=True), "capset", None)
    if capset is not None and capset(header, none) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _settle(user: User) -> None:
    """Give the process the environment and the folder of its user."""
    for name in _FOREIGN_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name, SHELL=user.shell)
    try:
        os.chdir(user.home)
        os.listdir(".")
    except OSError:  # there is none, or it is another user's
        os.chdir("/")


def _check_that_python_runs(user: User) -> None:
    """Raise `ValueError` if a user cannot read this Python or our modules: each connection would fail."""
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; import easycluster_server._serving.session, "
        "easycluster_protocol._values.failures"
    )
    try:
        ended = _run_python(user, code, *find_package_folders())
        lines = ended.stderr.decode(errors="replace").strip().splitlines()
        problem = "" if ended.returncode == 0 else lines[-1] if lines else f"status {ended.returncode}"
    except OSError as error:
        problem = str(error)
    except subprocess.SubprocessError:  # it does not tell why the new process failed
        problem = "it failed before Python started"
    if problem:
        raise ValueError(
            f"connections cannot run as {user.name!r}: this user cannot use"
            f" {os.path.realpath(sys.executable)} and the modules of EasyCluster ({problem});"
            " install both where everybody can read them"
        )


def _run_python(user: User, code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run code as a user.

    Raises:
        OSError: Python cannot be started.
        subprocess.SubprocessError: the process could not become that user.
    """
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: _become(user),
        cwd="/",
        check=False,
    )
