"""Starts our code on a host with nothing installed, through any command that gives a pipe.

The one who connects runs `remote_command` there (usually ``ssh host COMMAND``) and writes `bundle` to its
stdin, without waiting for an answer. What then happens on the host, in order:

1. The short line of the command (`_line`) checks the version, reads exactly the stage and runs it.
2. The stage (`_stage`) keeps the current folder out of imports and reads exactly the rest of the bundle.
3. The finder (`_finder`) serves the modules of the bundle from memory, writes the marker to stdout and calls
   the entry. What the login shell printed stands before the marker; every byte after the marker's line on
   stdout, and every byte after the bundle on stdin, belongs to the entry.

On the host, and only there, the module ``easycluster_bootstrap`` is the finder. It has two public functions:
``restore_path()``, until the entry calls it, imports ignore the current folder and write no bytecode; and
``add(packed)``, which makes more modules importable, as `pack` makes them.
"""

from __future__ import annotations

from easycluster_bootstrap._bundle import bundle, complete, new_marker, pack, prepare
from easycluster_bootstrap._command import remote_command
from easycluster_bootstrap._sources import collect

__all__ = ["bundle", "collect", "complete", "new_marker", "pack", "prepare", "remote_command"]
