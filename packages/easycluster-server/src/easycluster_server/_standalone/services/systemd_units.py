"""The texts of the units of systemd: the service, its socket, and the strict drop-in."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple

from easycluster_server._standalone.config.credentials import find_secret_files, name_credential

from . import users

if TYPE_CHECKING:
    from easycluster_server._standalone.config.settings import Settings

_SERVICE = """\
# Written by `easycluster --install`, which writes it again. Changes of your own belong into a drop-in
# (`systemctl edit easycluster`). What the server does is in {config}.
[Unit]
Description=EasyCluster server
{unit}
[Service]
Type=notify
ExecStart={command}
Restart=on-failure
RestartSec=1
# A wrong configuration does not become right by starting again.
RestartPreventExitStatus=2
TimeoutStopSec=10
SyslogIdentifier=easycluster
WorkingDirectory=-~
{service}
[Install]
WantedBy={target}
"""

_SOCKET = """\
# Written by `easycluster --install --restart-safe`: the port of the server, which systemd keeps while the
# server starts again.
[Unit]
Description=The port of the EasyCluster server

[Socket]
{lines}
[Install]
WantedBy=sockets.target
"""

_STRICT = """\
# Written by `easycluster --install --strict`. Remote code sees no devices, no home folders and no /tmp of
# others, and makes no machine code of its own (JITs).
[Service]
{lines}"""

#: The addresses that stand for all.
_EVERY = ("0.0.0.0", "::")  # noqa: S104 - where nothing else is wanted

#: What a service of one user can have.
_FOR_USERS = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
)

#: What nearly no remote code misses. Not here, because some does: a /tmp of its own, only some kinds of
#: sockets.
_MODERATE = (
    *_FOR_USERS,
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
)

_STRICT_LINES = (
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "MemoryDenyWriteExecute=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "RemoveIPC=yes",
    "UMask=0077",
)


class Unit(NamedTuple):
    """What the texts of a service depend on, beside its settings.

    Attributes:
        command: what the service runs.
        config: the path of its configuration file.
        per_user: it is a service of one user.
        user: the user that it runs as; None means root, or the user whose service it is.
        has_credentials: systemd can hand over files that the user cannot read.
    """

    command: Tuple[str, ...]
    config: str
    per_user: bool
    user: Optional[str]
    has_credentials: bool


def make_service_unit(unit: Unit, settings: Settings) -> str:
    """Return the text of ``easycluster.service``."""
    lines: List[str] = []
    if not unit.per_user:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    if settings.number("restart_safe"):
        lines += ["Requires=easycluster.socket", "After=easycluster.socket"]
    # A port that is taken now may be free later.
    lines.append("StartLimitIntervalSec=0")
    return _SERVICE.format(
        config=unit.config,
        command=" ".join(map(quote_word, unit.command)),
        unit=_join(lines),
        service=_join([*_list_user_lines(unit, settings), *_list_protection(unit, settings)]),
        target="default.target" if unit.per_user else "multi-user.target",
    )


def make_socket_unit(settings: Settings) -> str:
    """Return the text of ``easycluster.socket``."""
    port = settings.number("port")
    bind = settings.get("bind")
    given = tuple(bind if isinstance(bind, list) else [str(bind)] if bind else [])
    addresses = given or (_EVERY[:1] if settings.number("no_ipv6") else _EVERY)
    lines = [f"ListenStream={_format_address(address)}:{port}" for address in addresses]
    # IPv4 has a socket of its own, so that addresses of peers look as in the server's own sockets. An
    # address may come later than the socket, at boot.
    lines += ["BindIPv6Only=ipv6-only", "FreeBind=yes", "Backlog=128"]
    return _SOCKET.format(lines=_join(lines))


def make_strict_drop_in(settings: Settings) -> str:
    """Return the text of the drop-in that takes from the service whatever it can."""
    lines: List[str] = [*_STRICT_LINES]
    if not settings.has("run_as"):
        lines.append("PrivateUsers=yes")
    allowed = settings.texts("allow")
    if allowed:
        lines += ["IPAddressDeny=any", *(f"IPAddressAllow={network}" for network in allowed)]
    return _STRICT.format(lines=_join(lines))


def find_bad_address(settings: Settings) -> str:
    """Return the first address of ``-b`` that a socket unit cannot have, or ""."""
    bind = settings.get("bind")
    for address in bind if isinstance(bind, list) else [bind] if bind else []:
        try:
            ipaddress.ip_address(str(address))
        except ValueError:
            return str(address)
    return ""


def quote_word(word: str) -> str:
    """Return a word of a command line as a unit has it."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.search(r"[\s\"'\\;]", word):
        word = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return word


def _list_user_lines(unit: Unit, settings: Settings) -> List[str]:
    """Return the lines about the user of the service, and about the files that this user cannot read."""
    if unit.per_user:
        return []
    lines = [] if unit.user is None else [f"User={unit.user}"]
    if unit.user == users.NAME:
        lines.append(f"StateDirectory={users.NAME}")
    if unit.has_credentials:
        lines += [
            f"LoadCredential={name_credential(path)}:{path}".replace("%", "%%")
            for path in find_secret_files(settings)
        ]
    return lines


def _list_protection(unit: Unit, settings: Settings) -> Sequence[str]:
    if unit.per_user:
        return _FOR_USERS
    # Becoming the user of a connection takes two capabilities, and ending that user's processes a third.
    kept = " CAP_SETUID CAP_SETGID CAP_KILL" if settings.has("run_as") else ""
    return (*_MODERATE, f"CapabilityBoundingSet={kept.strip()}")


def _format_address(address: str) -> str:
    address = address.replace("%", "%%")  # that of an interface, as in fe80::1%eth0
    return f"[{address}]" if ":" in address else address


def _join(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
