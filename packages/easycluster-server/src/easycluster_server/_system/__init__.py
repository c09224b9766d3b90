"""What differs between operating systems, and the one place that asks which of them this is.

The folders `posix` and `windows` have the same names in them. The modules of this folder choose, and nothing
else imports from those two: this module has what every process needs, `masters` what masters and listeners
need besides, `guarding` and `detach` what their names say. Nobody else asks for the platform.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    from .windows.output import buffer_c_lines, flush_c_output
    from .windows.system_calls import (
        CANCEL_SIGNAL,
        call_at_fork,
        host_name,
        interrupt_main_thread,
        reset_signals,
    )
    from .windows.transport import (
        AGAIN_FLAGS,
        AGAIN_FOLDER,
        PIECE_BYTES,
        EndOfStream,
        SocketTransport,
        has_room,
        wait,
        write_all,
    )
else:
    from .posix.libc import buffer_c_lines, flush_c_output
    from .posix.system_calls import (
        CANCEL_SIGNAL,
        call_at_fork,
        host_name,
        interrupt_main_thread,
        reset_signals,
    )
    from .posix.transport import (
        AGAIN_FLAGS,
        AGAIN_FOLDER,
        PIECE_BYTES,
        EndOfStream,
        SocketTransport,
        has_room,
        wait,
        write_all,
    )

if TYPE_CHECKING:
    __all__ = [
        "AGAIN_FLAGS",
        "AGAIN_FOLDER",
        "CANCEL_SIGNAL",
        "PIECE_BYTES",
        "EndOfStream",
        "SocketTransport",
        "buffer_c_lines",
        "call_at_fork",
        "flush_c_output",
        "has_room",
        "host_name",
        "interrupt_main_thread",
        "reset_signals",
        "wait",
        "write_all",
    ]
