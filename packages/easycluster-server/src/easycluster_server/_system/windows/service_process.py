"""This process as a service, which the service control manager starts, and asks to stop."""

from __future__ import annotations

import ctypes
import threading
from ctypes import wintypes
from typing import Any, Optional

from .system_calls import interrupt_main_thread

_OWN_PROCESS = 0x10
_STOPPED, _START_PENDING, _STOP_PENDING, _RUNNING = 1, 2, 3, 4
#: SERVICE_CONTROL_STOP and SERVICE_CONTROL_SHUTDOWN, and the bits that say that both are accepted.
_ENDING_CONTROLS = (1, 5)
_ACCEPT_ENDING = 0x1 | 0x4
#: ERROR_SERVICE_SPECIFIC_ERROR: the real one stands in another field.
_OWN_ERROR = 1066
_NOT_IMPLEMENTED = 120

#: Milliseconds within which the next state is to be expected.
_PATIENCE = 30000

_Main = ctypes.WINFUNCTYPE(None, wintypes.DWORD, ctypes.POINTER(wintypes.LPWSTR))
_Handler = ctypes.WINFUNCTYPE(
    wintypes.DWORD, wintypes.DWORD, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p
)


class _Status(ctypes.Structure):
    """SERVICE_STATUS."""

    _fields_ = [
        ("dwServiceType", wintypes.DWORD),
        ("dwCurrentState", wintypes.DWORD),
        ("dwControlsAccepted", wintypes.DWORD),
        ("dwWin32ExitCode", wintypes.DWORD),
        ("dwServiceSpecificExitCode", wintypes.DWORD),
        ("dwCheckPoint", wintypes.DWORD),
        ("dwWaitHint", wintypes.DWORD),
    ]


class _Entry(ctypes.Structure):
    """SERVICE_TABLE_ENTRYW."""

    _fields_ = [("lpServiceName", wintypes.LPWSTR), ("lpServiceProc", _Main)]


class ServiceProcess:
    """What the service control manager has to do with this process.

    The main thread is left to the server, because only that one can be interrupted. Two others belong to the
    manager: one waits for its requests, and one has to exist for as long as the service does.

    Args:
        name: the name of the service.

    Raises:
        OSError: this process was not started as a service.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._library: Any = ctypes.WinDLL("advapi32", use_last_error=True)
        self._library.RegisterServiceCtrlHandlerExW.restype = ctypes.c_void_p
        self._library.RegisterServiceCtrlHandlerExW.argtypes = [wintypes.LPCWSTR, _Handler, ctypes.c_void_p]
        self._library.SetServiceStatus.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Status)]
        # The system keeps their addresses.
        self._main = _Main(self._be_service)
        self._handler = _Handler(self._handle)
        self._handle_of_status: Optional[int] = None
        self._error = 0
        self._is_known = threading.Event()
        self._has_ended = threading.Event()
        self._dispatcher = threading.Thread(target=self._dispatch, name="easycluster-service", daemon=True)
        self._dispatcher.start()
        self._is_known.wait()
        if self._error:
            raise ctypes.WinError(self._error)

    def tell(self, *lines: str) -> None:
        """Tell how the service does, by "READY=1" or "STOPPING=1", as systemd wants to be told it."""
        if "READY=1" in lines:
            self._tell(_RUNNING)
        elif "STOPPING=1" in lines:
            self._tell(_STOP_PENDING)

    def end(self, status: int) -> None:
        """Tell that the service has ended, with an exit status; after that this process has to end."""
        self._tell(_STOPPED, status)
        self._has_ended.set()
        self._dispatcher.join(_PATIENCE / 1000)

    def _tell(self, state: int, status: int = 0) -> None:
        accepted = _ACCEPT_ENDING if state == _RUNNING else 0
        hint = _PATIENCE if state in (_START_PENDING, _STOP_PENDING) else 0
        told = _Status(_OWN_PROCESS, state, accepted, _OWN_ERROR if status else 0, status, 0, hint)
        self._library.SetServiceStatus(self._handle_of_status, ctypes.byref(told))

    def _dispatch(self) -> None:
        table = (_Entry * 2)(_Entry(self._name, self._main), _Entry(None, _Main()))
        if not self._library.StartServiceCtrlDispatcherW(table):
            self._error = ctypes.get_last_error()
            self._is_known.set()

    def _be_service(self, _count: int, _arguments: Any) -> None:
        handle = self._library.RegisterServiceCtrlHandlerExW(self._name, self._handler, None)
        if handle:
            self._handle_of_status = handle
            self._tell(_START_PENDING)
        else:
            self._error = ctypes.get_last_error()
        self._is_known.set()
        if handle:
            self._has_ended.wait()

    def _handle(self, control: int, _kind: int, _data: Any, _context: Any) -> int:
        if control in _ENDING_CONTROLS:
            self._tell(_STOP_PENDING)
            interrupt_main_thread()
            return 0
        return 0 if control == 4 else _NOT_IMPLEMENTED  # 4 asks for the state, which is told anyway
