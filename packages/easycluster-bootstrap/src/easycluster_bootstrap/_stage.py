# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`
# Runs on the host, from the short line (see _line.py), when nothing else can be imported yet. Sent as it is:
# zlib too is a module that must not be taken from the current folder. Whatever fails here, the line reports.
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List


def load(read: "Callable[[int], Any]", data: bytearray, path: "List[str]", hook: "Any") -> None:
    """Read the rest of the bundle and hand over to `_finder`.

    Args:
        read: reads from stdin until `data` has so many bytes, never more.
        data: what has been read.
        path: sys.path as it was when Python started.
        hook: sys.excepthook as it was when Python started.
    """
    gc.disable()  # until the path is restored: next to nothing of what is made now ever becomes garbage
    write_bytecode = not sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    if os.environ.get("PYTHONSAFEPATH") == "easycluster":
        # Set by the command for this start alone (see _line.py); what is started from here shall not have it.
        del os.environ["PYTHONSAFEPATH"]
        if getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            path.insert(0, "")
    # PYTHONPATH=/somewhere: (with that colon, which is common) puts the current folder in by its full name.
    sys.path[:] = [entry for entry in sys.path if not is_current_folder(entry)]
    from zlib import decompress

    def part() -> bytes:
        start = len(data)
        read(start + 22)
        read(start + 22 + int(data[start + 13 :]))
        return decompress(data[start + 22 :])

    source, packed = part().split(b"\0", 1)
    finder: Any = type(sys)("easycluster_bootstrap")
    sys.modules[finder.__name__] = finder
    exec(compile(source, "easycluster-bundle/easycluster_bootstrap.py", "exec"), finder.__dict__)
    finder.start(source, packed, part(), path, write_bytecode, hook)


def is_current_folder(entry: str) -> bool:
    try:
        return os.path.samefile(entry, ".")
    except OSError:
        return False
