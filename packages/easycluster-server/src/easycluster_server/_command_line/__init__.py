"""The command ``easycluster``, also ``python -m easycluster``.

`main` of this package is the entry point; `parser` has the options, `command` runs what they ask for, and
each verb, as serving or making a key, has a module of its own.
"""

from __future__ import annotations

from typing import Optional, Sequence

__all__ = ["main"]


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        args: the arguments without the program's name; None means the arguments of the process.

    Returns:
        The exit status: 0, 1 when something failed, 2 for a wrong command line or configuration file.
    """
    # `easycluster.server` imports this package also where no command is: on a host that was sent our code.
    from .command import main as run

    return run(args)
