# ruff: noqa: FA100 -- Python 3.6 has no `from __future__ import annotations`
# Runs on the host, from the short line (see _line.py), when nothing else can be imported yet. Sent as it is:
# zlib too is a module that must not be taken from the current folder.
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple


def load(path: "List[str]", hook: "Any") -> None:
    """Read the rest of the bundle and hand over to `_finder`.

    Args:
        path: sys.path as it was when Python started.
        hook: sys.excepthook as it was when Python started.
    """
    write_bytecode = not sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    if os.environ.get("PYTHONSAFEPATH") == "easycluster":
        # Set by the command for this start alone (see _line.py); what is started from here shall not have it.
        del os.environ["PYTHONSAFEPATH"]
        if getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            path.insert(0, "")
    # PYTHONPATH=/somewhere: (with that colon, which is common) puts the current folder in by its full name.
    sys.path[:] = [entry for entry in sys.path if not is_current_folder(entry)]
    try:
        import zlib
        from types import ModuleType

        sources = unpack(zlib.decompress(read_frame()))
        marker, entry, config = zlib.decompress(read_frame()).split(b"\n", 2)
    except Exception as error:
        sys.exit(f"EasyCluster could not start: reading its code failed ({type(error).__name__}: {error})")
    name = "easycluster_bootstrap"
    finder: Any = ModuleType(name)
    sys.modules[name] = finder
    exec(compile(sources[name][0], "easycluster-bundle/easycluster_bootstrap.py", "exec"), finder.__dict__)
    finder.install(sources, path, write_bytecode)
    finder.run(entry.decode(), marker, config, hook)


def is_current_folder(entry: str) -> bool:
    try:
        return os.path.samefile(entry, ".")
    except OSError:
        return False


def read_frame() -> bytes:
    header = read(22)
    if header[:13] != b"EasyCluster1 ":
        raise ValueError(f"found {header!r} where the next part should begin")
    return read(int(header[13:]))


def read(size: int) -> bytes:
    # Unbuffered and exact: what follows on stdin belongs to the entry.
    data = bytearray()
    while len(data) < size:
        chunk = os.read(0, min(size - len(data), 65536))
        if not chunk:
            raise EOFError(f"stdin ended after {len(data)} of {size} bytes of a part")
        data += chunk
    return bytes(data)


def unpack(packed: bytes) -> "Dict[str, Tuple[bytes, bool]]":
    sources: Dict[str, Tuple[bytes, bool]] = {}
    start = 0
    while start < len(packed):
        end = packed.index(b"\n", start)
        name, is_package, size = packed[start:end].decode().split()
        start = end + 1 + int(size)
        sources[name] = packed[end + 1 : start], is_package == "1"
    return sources
