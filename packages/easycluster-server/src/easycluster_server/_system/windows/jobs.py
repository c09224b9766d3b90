"""Job objects: a process and all that it starts, which end together."""

from __future__ import annotations

import ctypes
from ctypes import wintypes
from typing import List

from .kernel import kernel32, last_error

_EXTENDED_LIMIT_INFORMATION = 9
_BASIC_PROCESS_ID_LIST = 3
_KILL_ON_JOB_CLOSE = 0x2000
_SET_QUOTA_AND_TERMINATE = 0x0101

#: The most processes of a job that are listed at once.
_MAX_LISTED = 4096


class _ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = [
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    ]


class _ProcessIdList(ctypes.Structure):
    """JOBOBJECT_BASIC_PROCESS_ID_LIST."""

    _fields_ = [
        ("NumberOfAssignedProcesses", wintypes.DWORD),
        ("NumberOfProcessIdsInList", wintypes.DWORD),
        ("ProcessIdList", ctypes.c_size_t * _MAX_LISTED),
    ]


class Job:
    """A job whose processes end when this process does, because nobody else holds it.

    Args:
        pid: the first process of the job: a child of this process that has not been waited for.

    Raises:
        OSError: the process cannot be put into a job: it has ended, or this Windows is older than 8 and the
            process is in a job already.
    """

    def __init__(self, pid: int) -> None:
        self._handle = kernel32.CreateJobObjectW(None, None)
        if not self._handle:
            raise last_error()
        process = kernel32.OpenProcess(_SET_QUOTA_AND_TERMINATE, False, pid)
        try:
            self._set_limits(_KILL_ON_JOB_CLOSE)
            if not kernel32.AssignProcessToJobObject(self._handle, process):
                raise last_error()
        except BaseException:
            self.close()
            raise
        finally:
            kernel32.CloseHandle(process)

    def _set_limits(self, flags: int) -> None:
        limits = _ExtendedLimits(LimitFlags=flags)
        if not kernel32.SetInformationJobObject(
            self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        ):
            raise last_error()

    def list_processes(self) -> List[int]:
        """Return the ids of the processes that run."""
        listed = _ProcessIdList()
        kernel32.QueryInformationJobObject(
            self._handle, _BASIC_PROCESS_ID_LIST, ctypes.byref(listed), ctypes.sizeof(listed), None
        )
        return list(listed.ProcessIdList[: listed.NumberOfProcessIdsInList])

    def terminate(self) -> None:
        """End all processes of the job at once."""
        kernel32.TerminateJobObject(self._handle, 1)

    def spare(self) -> None:
        """Let the processes that run live on when the job is closed."""
        self._set_limits(0)

    def close(self) -> None:
        """End all processes of the job, unless they are spared; nothing else can be done with it then."""
        kernel32.CloseHandle(self._handle)
