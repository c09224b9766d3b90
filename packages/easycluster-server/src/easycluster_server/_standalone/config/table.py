"""The table of all settings. The command line, its help, and the configuration file are made from it.

A new setting is one row. Its name in the file is its long option without the dashes.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from easycluster_protocol._constants import DEFAULT_PORT
from easycluster_protocol._handshake.encryption import MODES
from easycluster_server._standalone.servers import CLASSES

from .kinds import (
    Choice,
    Count,
    Flag,
    Kind,
    Network,
    Number,
    Path,
    Secret,
    SecretFile,
    Setting,
    Several,
    Size,
)

#: The sections of the file in their order → the heading of their options in the help.
SECTIONS: Dict[str, str] = {"server": "serving", "service": "the service, with --install"}


class Option(NamedTuple):
    """A setting, its option on the command line and its line in the file.

    Attributes:
        flags: its options; the last is the long one.
        kind: how its values are read and written.
        help: what it means, as in the help; the default is added to it.
        section: the section of the file where it stands, and the group of the help.
        metavar: the name of its value in the help; none for flags.
        default: the value where neither option nor file gives one.
        keyword: the keyword of `servers.Server` that takes it, if that is all that has to be done with it.
        in_file: False for what is only an option, as a key.
    """

    flags: Tuple[str, ...]
    kind: Kind
    help: str
    section: str = "server"
    metavar: str = ""
    default: Setting = None
    keyword: str = ""
    in_file: bool = True

    @property
    def key(self) -> str:
        """Its name in the file."""
        return self.flags[-1][2:]

    @property
    def name(self) -> str:
        """Its name in `Settings`."""
        return self.key.replace("-", "_")


OPTIONS: Tuple[Option, ...] = (
    Option(
        ("-k", "--keyfile"),
        Several(SecretFile(), may_be_blank=False),
        "the key that clients must share; more than once: any of these keys; SIGHUP reads them again",
        metavar="FILE",
    ),
    Option(
        ("-K", "--key"),
        Secret(),
        "the key itself (other users can see it in the process list; a text can be guessed, see -g)",
        metavar="KEY",
        in_file=False,
    ),
    Option(
        ("-p", "--port"),
        Number(0, 65535, "a TCP port, a number from 0 (any that is free) to 65535"),
        "TCP port; 0: any",
        metavar="PORT",
        default=DEFAULT_PORT,
    ),
    Option(
        ("-b", "--bind"),
        Several(Kind(), may_be_blank=False),
        "address to listen on; more than once (default: all)",
        metavar="ADDRESS",
        keyword="bindaddr",
    ),
    Option(
        ("-a", "--allow"),
        Several(Network()),
        "accept only connections from this network, as 192.0.2.0/24; more than once",
        metavar="NET",
        default=[],
        keyword="allow",
    ),
    Option(
        ("--deny",),
        Several(Network()),
        "accept no connection from this network, even if --allow has it; more than once",
        metavar="NET",
        default=[],
        keyword="deny",
    ),
    Option(
        ("--max-connections",),
        Number(1, None, "a number of connections, 1 or more"),
        "accept at most so many connections at the same time (default: any number)",
        metavar="N",
        keyword="max_connections",
    ),
    Option(
        ("--run-as",),
        Kind(),
        "run connections as this user; needs root, and alone keeps the key from the users of the server",
        metavar="NAME",
        keyword="run_as",
    ),
    Option(
        ("--max-memory",),
        Size(),
        "let each process of a connection have at most so much memory, as 512M (default: any amount)",
        metavar="SIZE",
        keyword="max_memory",
    ),
    Option(
        ("--nice",),
        Number(-20, 19, "a niceness, from -20 to 19"),
        "run connections with this added to their niceness",
        metavar="N",
        keyword="nice",
    ),
    Option(("-N", "--no-ipv6"), Flag(), "listen on IPv4 only", default=False, keyword="disable_ipv6"),
    Option(
        ("--no-upgrade",),
        Flag(),
        "refuse clients of another version, instead of running their code",
        default=False,
        keyword="no_upgrade",
    ),
    Option(("-v", "--verbose"), Count(), "log more; more than once", default=0),
    Option(
        ("-c", "--class"),
        Choice(tuple(CLASSES), "server class"),
        "Server logs connections and calls, QuietServer only problems",
        metavar="CLASS",
        default="Server",
    ),
    Option(
        ("--tls",),
        Choice(tuple(MODES), "way to encrypt"),
        "encrypt by TLS: auto, for clients that can; require, always; off, never",
        metavar="WHEN",
        default="auto",
        keyword="tls",
    ),
    Option(
        ("--tls-cert",),
        Path(),
        "the server's certificate, in PEM: clients with any Python can then use TLS",
        metavar="FILE",
        keyword="tls_cert",
    ),
    Option(
        ("--tls-key",),
        Path(),
        "its private key, if that is in another file",
        metavar="FILE",
        keyword="tls_key",
    ),
    Option(
        ("--tls-ca",),
        Path(),
        "demand certificates of clients, signed by these CAs",
        metavar="FILE",
        keyword="tls_ca",
    ),
    Option(
        ("-d", "--daemonize"),
        Flag(),
        "serve in the background, once the server listens; without -c as -c QuietServer",
        default=False,
        in_file=False,
    ),
    Option(("-P", "--pidfile"), Path(), "write the number of the server's process to FILE", metavar="FILE"),
    Option(("--log",), Path(), "append what is printed once the server listens to FILE", metavar="FILE"),
    Option(
        ("--profile",),
        Path(),
        "write where the connections' processes spent their time to FILE, see pstats",
        metavar="FILE",
        keyword="profile",
    ),
    Option(
        ("--service-user",),
        Kind(),
        "the user that it runs as (default: easycluster, which is made)",
        "service",
        metavar="NAME",
    ),
    Option(
        ("--restart-safe",),
        Flag(),
        "let the system hold the port: no client is refused while the server starts again",
        "service",
        default=False,
    ),
    Option(
        ("--strict",),
        Flag(),
        "let the server reach as little as possible; remote code may miss devices, home folders, JITs",
        "service",
        default=False,
    ),
    Option(
        ("--open-firewall",),
        Flag(),
        "on Windows: let the firewall accept connections to the port",
        "service",
        default=False,
    ),
)
