"""Starts our code on a host with nothing installed, through any command that gives a pipe.

A master runs `remote_command` there (usually ``ssh host COMMAND``) and writes `bundle` to its stdin, without
waiting for an answer. Then, in this order, on the host:

1. The short line of the command (`_command`) checks the version, keeps the current folder out of imports,
   reads exactly the bundle and runs the stage.
2. The stage (`_on_host.stage`) restores the words of the text, and runs the importer.
3. The importer (`_on_host.importer`) serves the modules of the bundle from memory, writes the marker to
   stdout and calls the entry. The output of the login shell stands before the marker; every byte after the
   marker's line on stdout, and every byte after the bundle on stdin, belongs to the entry.

On the host, and only there, the module ``easycluster_bootstrap`` is the importer. It has three functions.
Until the entry calls ``restore_path()``, imports ignore the current folder and write no bytecode.
``add(packed)`` makes more modules importable, in the form that `pack` gives them. ``when_imported(name,
callback)`` waits for one of Python's own modules.
"""

from __future__ import annotations

from easycluster_bootstrap._bundle import bundle, complete, new_marker, pack, prepare
from easycluster_bootstrap._command import remote_command, start_line
from easycluster_bootstrap._framing import has_piece_of, is_from_terminal, is_header_returned
from easycluster_bootstrap._sources import collect

__all__ = [
    "bundle",
    "collect",
    "complete",
    "has_piece_of",
    "is_from_terminal",
    "is_header_returned",
    "new_marker",
    "pack",
    "prepare",
    "remote_command",
    "start_line",
]
