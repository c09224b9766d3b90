"""The command ``easycluster``, also ``python -m easycluster``."""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from typing import List, Optional, Sequence

from easycluster_protocol._constants import DEFAULT_PORT, VERSION
from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import (
    check_key,
    decode_key,
    generate_key,
    read_key_file,
    require_private,
    write_key_file,
)

from ._standalone.servers import CLASSES
from ._system.error_stream import print_error, print_lines

_EPILOG = """\
examples:
  easycluster -g secret.key              make a key; copy it to the masters
  easycluster -S -k secret.key           serve on every address, port {port}
  easycluster -S -k secret.key -c QuietServer -b 127.0.0.1 -p 12000
"""


#: Number of an error that a server meets → what to do.
_ADVICE = {
    errno.EADDRINUSE: "; end the program that has the port, or choose another port with -p",
    errno.EACCES: "; choose a port above 1023 with -p",
    errno.EADDRNOTAVAIL: "; -b takes an address of this machine",
}


class _UsageError(Exception):
    """The command line asks for something that cannot be done; the text is for the user."""


def main(args: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        args: the arguments without the program's name; None means the arguments of the process.

    Returns:
        The exit status: 0, 1 when something failed, 2 for a wrong command line.
    """
    parser = _make_parser()
    options = parser.parse_args(args)
    try:
        if options.generate is not None:
            if options.serve:
                raise _UsageError("-g and -S exclude each other: make the key first, then serve with -k FILE")
            return _generate(options.generate, options.overwrite)
        if options.serve:
            return _serve(options)
        _check_purpose(parser, options)
    except _UsageError as error:
        print_error(f"easycluster: {error}\n")
        return 2
    except KeyFileError as error:
        print_error(f"easycluster: {error}\n")
        return 1
    except OSError as error:
        # An error that names a file is one of the key file.
        is_of_server = options.serve and error.filename is None
        advice = _ADVICE.get(error.errno or 0, "") if is_of_server else ""
        print_error(f"easycluster: {error}{advice}\n")
        return 1
    print_error(parser.format_help())
    return 2


def _check_purpose(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raise if there are options, and none that says what to do."""
    given = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    if given == ["overwrite"]:
        raise _UsageError("-O is for making a key: add -g FILE")
    if given:
        raise _UsageError("add -S to serve (easycluster -S -k FILE), or -g FILE to make a key")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="easycluster",
        description="The standalone server of EasyCluster, for hosts that are not reached by ssh.",
        epilog=_EPILOG.format(port=DEFAULT_PORT),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"easycluster {VERSION}")
    keys = parser.add_argument_group("keys")
    keys.add_argument("-g", "--generate", metavar="FILE", help="make a new key in FILE, readable by you only")
    keys.add_argument("-O", "--overwrite", action="store_true", help="with -g: replace FILE if it exists")
    serving = parser.add_argument_group("serving")
    serving.add_argument("-S", "--serve", action="store_true", help="serve until Ctrl-C")
    serving.add_argument("-k", "--keyfile", metavar="FILE", help="the key that clients must share")
    serving.add_argument(
        "-K", "--key", metavar="KEY", help="the key itself (other users can see it in the process list)"
    )
    serving.add_argument(
        "-p", "--port", type=int, default=DEFAULT_PORT, help="TCP port (default: %(default)s; 0: any)"
    )
    serving.add_argument("-b", "--bind", metavar="ADDRESS", help="address to listen on (default: all)")
    serving.add_argument(
        "-a",
        "--allow",
        metavar="NET",
        action="append",
        default=[],
        help="accept only connections from this network, as 192.0.2.0/24; more than once",
    )
    serving.add_argument("-N", "--no-ipv6", action="store_true", help="listen on IPv4 only")
    serving.add_argument("-v", "--verbose", action="count", default=0, help="log more; more than once")
    serving.add_argument(
        "-c",
        "--class",
        dest="server_class",
        metavar="CLASS",
        default="Server",
        help="Server logs connections and calls (default), QuietServer only problems",
    )
    return parser


def _generate(path: str, overwrite: bool) -> int:
    if not write_key_file(path, generate_key(), overwrite=overwrite):
        print_error(f"easycluster: {path} exists; to replace it add -O\n")
        return 1
    print_lines(sys.stdout, f"wrote a new key to {path}; servers and masters need the same file\n")
    return 0


def _serve(options: argparse.Namespace) -> int:
    key = _read_key(options)
    if options.server_class not in CLASSES:
        known = " and ".join(CLASSES)
        raise _UsageError(f"there is no server class {options.server_class!r}: -c knows {known}")
    if not 0 <= options.port <= 65535:
        raise _UsageError(
            f"-p: {options.port} is not a TCP port, a number from 0 (any that is free) to 65535"
        )
    server_class = CLASSES[options.server_class]
    verbosity = server_class.default_verbosity + options.verbose
    try:
        server = server_class(options.port, key, options.bind, options.allow, verbosity, options.no_ipv6)
    except ValueError as error:
        if isinstance(error, KeyFileError):
            raise
        raise _UsageError(f"-a: {error}") from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: server.stop())
    _announce(server.addresses)
    server.serve()
    return 0


def _announce(addresses: List[str]) -> None:
    line = f"easycluster {VERSION} listens on {', '.join(addresses)}\n"
    # Standard output may be a full disk.
    if not print_lines(sys.stdout, line):
        print_error(line)


def _read_key(options: argparse.Namespace) -> bytes:
    if options.keyfile is not None and options.key is not None:
        raise _UsageError("-k and -K exclude each other: leave one out")
    if options.keyfile is not None:
        try:
            require_private(options.keyfile)
            key = read_key_file(options.keyfile)
        except FileNotFoundError as error:
            error.strerror = f"{error.strerror} (make one with easycluster -g {options.keyfile})"
            raise
    else:
        key = decode_key(options.key or "")
    check_key(key, "the server")
    return key


if __name__ == "__main__":
    sys.exit(main())
