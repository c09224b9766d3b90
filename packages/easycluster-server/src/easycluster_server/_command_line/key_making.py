"""``easycluster -g FILE``: making a key."""

from __future__ import annotations

import os
import sys

from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._system.error_stream import print_error, print_lines


def generate(path: str, overwrite: bool) -> int:
    """Make a key file, and return the exit status."""
    try:
        written = write_key_file(path, generate_key(), overwrite=overwrite)
    except FileNotFoundError as error:
        error.strerror = f"there is no folder {os.path.dirname(path)!r} for the key"
        raise
    if not written:
        print_error(f"easycluster: {path} exists; to replace it add -O\n")
        return 1
    print_lines(sys.stdout, f"wrote a new key to {path}; servers and masters need the same file\n")
    return 0
