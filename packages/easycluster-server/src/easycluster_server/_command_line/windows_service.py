"""What a service of Windows runs: ``python -m …windows_service NAME CONFIG LOG``.

It serves with the settings of a configuration file. All that would be printed goes to the log, unless the
settings name another one; a service has no standard streams.
"""

from __future__ import annotations

import io
import os
import sys
from typing import List, Optional

from easycluster_protocol.errors import EasyClusterError
from easycluster_server._standalone.config.file import read_config_file
from easycluster_server._standalone.service_manager import ServiceManager
from easycluster_server._system.background import open_log, redirect_output
from easycluster_server._system.error_stream import print_error
from easycluster_server._system.service_process import ServiceProcess
from easycluster_server._system.this_process import occupy_standard_descriptors

from .errors import UsageError
from .serving import serve


class _Manager(ServiceManager):
    """The service control manager, which holds no sockets and no files for its services."""

    def __init__(self, process: ServiceProcess) -> None:
        super().__init__({})
        self._process = process

    def tell(self, *lines: str) -> None:
        """Tell how the service does."""
        self._process.tell(*lines)


def main(arguments: Optional[List[str]] = None) -> int:
    """Serve until the service is stopped, and return the exit status.

    Args:
        arguments: name of the service, its configuration file and its log; None: those of the process.

    Raises:
        OSError: this process is no service, or the log cannot be written.
    """
    name, config, log = sys.argv[1:] if arguments is None else arguments
    open_standard_streams(log)
    # It was needed to start this interpreter in a virtual environment, and is nothing to the code of masters.
    os.environ.pop("__PYVENV_LAUNCHER__", None)
    process = ServiceProcess(name)
    status = 1
    try:
        status = serve(read_config_file(config), lambda: read_config_file(config), _Manager(process))
    except (EasyClusterError, UsageError, OSError) as error:
        print_error(f"easycluster: {error}\n")
    finally:
        process.end(status)
    return status


def open_standard_streams(log: str) -> None:
    """Let the standard input of this process be empty, and its output and errors go to a file."""
    occupy_standard_descriptors()
    redirect_output(open_log(log))
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = 1 if name == "stdout" else 2
            stream = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(stream, "utf-8", "backslashreplace"))


if __name__ == "__main__":
    sys.exit(main())
