"""What the command does: options to settings, settings to a verb, errors to an exit status and one line."""

from __future__ import annotations

import argparse
from typing import Optional, Sequence

from easycluster_protocol.errors import KeyFileError
from easycluster_server._standalone.config.file import ConfigFileError, read_config_file
from easycluster_server._system.error_stream import print_error

from .errors import UsageError
from .key_making import generate
from .parser import find_verb, make_parser, read_settings
from .serving import serve


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
            return _run(verb, options)
    except (UsageError, ConfigFileError) as error:
        print_error(f"easycluster: {error}\n")
        return 2
    except (KeyFileError, OSError) as error:
        print_error(f"easycluster: {error}\n")
        return 1
    print_error(parser.format_help())
    return 2


def _run(verb: str, options: argparse.Namespace) -> int:
    settings = read_settings(options)
    if options.config is not None:
        settings = settings.over(read_config_file(options.config))
    if verb == "generate":
        return generate(options.generate, options.overwrite)
    return serve(settings)
