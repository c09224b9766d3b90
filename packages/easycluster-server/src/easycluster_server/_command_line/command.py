"""What the command does: options to settings, settings to a verb, errors to an exit status and one line."""

from __future__ import annotations

import argparse
from typing import Callable, Dict, Optional, Sequence

from easycluster_protocol.errors import KeyFileError
from easycluster_server._standalone.config.file import ConfigFileError, read_config_file
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._system.error_stream import print_error

from .checking import check
from .errors import UsageError
from .installing import install, uninstall
from .key_making import generate
from .parser import find_verb, make_parser, read_settings
from .service_verbs import query_installed, show_status, start, stop
from .serving import serve


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    def read() -> Settings:
        return settings if options.config is None else settings.over(read_config_file(options.config))

    return serve(read(), read)


#: What each verb of `parser.VERBS` does; the result is the exit status.
_RUN: Dict[str, Callable[[argparse.Namespace, Settings], int]] = {
    "generate": lambda options, settings: generate(options.generate, options.overwrite),
    "serve": _serve,
    "install": install,
    "uninstall": lambda options, settings: uninstall(options),
    "start": lambda options, settings: start(options),
    "stop": lambda options, settings: stop(options),
    "query_installed": lambda options, settings: query_installed(options),
    "status": lambda options, settings: show_status(options),
    "check": check,
}


#: What to do where a step of installing is not allowed.
_FOR_ROOT = "; be root (sudo), or add --user for a service of your own"


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        args: the arguments without the program's name; None means the arguments of the process.

    Returns:
        The exit status: 0, 1 when something failed, 2 for a wrong command line or configuration file.
    """
    parser = make_parser()
    options = parser.parse_args(args)
    try:
        verb = find_verb(parser, options)
        if verb:
            return _RUN[verb](options, read_settings(options))
    except (UsageError, ConfigFileError) as error:
        print_error(f"easycluster: {error}\n")
        return 2
    except PermissionError as error:
        advice = "" if options.serve or options.generate else _FOR_ROOT
        print_error(f"easycluster: {error}{advice}\n")
        return 1
    except (KeyFileError, OSError) as error:
        print_error(f"easycluster: {error}\n")
        return 1
    print_error(parser.format_help())
    return 2
