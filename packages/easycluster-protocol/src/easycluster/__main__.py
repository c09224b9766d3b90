"""``python -m easycluster``: the command line of the server."""

import sys
from importlib import import_module


def main() -> int:
    """Run the command line; without easycluster-server, say what to install."""
    try:
        command = import_module("easycluster_server._command_line")
    except ModuleNotFoundError as error:
        if error.name not in ("easycluster_server", "easycluster_server._command_line"):
            raise
        print("python -m easycluster needs the server: pip install easycluster-server", file=sys.stderr)
        return 1
    return int(command.main())


if __name__ == "__main__":
    sys.exit(main())
