"""``easycluster -g FILE``: making a key."""

from __future__ import annotations

import sys

from easycluster_protocol.keys import generate_key, write_key_file
from easycluster_server._system.error_stream import print_error, print_lines


def generate(path: str, overwrite: bool) -> int:
    """Make a key file, and return the exit status."""
    if not write_key_file(path, generate_key(), overwrite=overwrite):
        print_error(f"easycluster: {path} exists; to replace it add -O\n")
        return 1
    print_lines(sys.stdout, f"wrote a new key to {path}; servers and masters need the same file\n")
    return 0
