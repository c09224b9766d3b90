"""Programs that masters start, as ssh: their streams, their ends, and the processes below them."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from .windows.programs import (
        DONT_WAIT,
        END_SIGNALS,
        Process,
        close_output,
        find_descendants,
        has_own_proc,
        identify_child,
        limiting_script,
        open_output,
        read_output,
        read_process,
        read_processes,
        send_signal,
        shield_command,
        start_on_socket,
        with_old_limit,
    )
else:
    from .posix.descriptors import limiting_script, with_old_limit
    from .posix.proc import (
        Process,
        find_descendants,
        has_own_proc,
        read_process,
        read_processes,
        send_signal,
    )
    from .posix.programs import (
        DONT_WAIT,
        END_SIGNALS,
        close_output,
        identify_child,
        open_output,
        read_output,
        shield_command,
        start_on_socket,
    )

__all__ = [
    "DONT_WAIT",
    "END_SIGNALS",
    "Process",
    "close_output",
    "find_descendants",
    "has_own_proc",
    "identify_child",
    "limiting_script",
    "open_output",
    "read_output",
    "read_process",
    "read_processes",
    "send_signal",
    "shield_command",
    "start_on_socket",
    "with_old_limit",
]
