"""The options of the command. Those that are settings of a server come from the table of settings."""

from __future__ import annotations

import argparse
from typing import Dict, NamedTuple, Sequence, Tuple

from easycluster_protocol._constants import DEFAULT_PORT, VERSION
from easycluster_server._standalone.config.kinds import Setting
from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.config.table import OPTIONS, SECTIONS, Option

from .errors import UsageError

_EPILOG = f"""\
examples:
  easycluster -g secret.key              make a key; copy it to the masters
  easycluster -S -k secret.key           serve on every address, port {DEFAULT_PORT}
  easycluster -S -k secret.key -c QuietServer -b 127.0.0.1 -p 12000
  easycluster --install --start          a service: on boot, and now; it makes a key if there is none
  easycluster --install --dry-run        show what that would do

exit status: 0 done, 1 failed, 2 wrong command line or configuration file; of --query-installed 1 not
installed; of --status 3 not running, 4 not installed
"""


class Verb(NamedTuple):
    """An option that says what to do; one is given, or ``--install --start``.

    Attributes:
        flags: its options; the last is the long one.
        help: what it does.
        metavar: the name of its value in the help; none if it has no value.
    """

    flags: Tuple[str, ...]
    help: str
    metavar: str = ""

    @property
    def name(self) -> str:
        """Its attribute in what argparse returns."""
        return self.flags[-1][2:].replace("-", "_")


VERBS: Tuple[Verb, ...] = (
    Verb(("-g", "--generate"), "make a new key in FILE, readable by you only", "FILE"),
    Verb(("-S", "--serve"), "serve until Ctrl-C"),
    Verb(
        ("-i", "--install"),
        "install the server as a service that starts on boot; its settings are the options below",
    ),
    Verb(("-u", "--uninstall"), "remove the service; its key stays"),
    Verb(("--start",), "start the service; with --install, install it first"),
    Verb(("--stop",), "stop the service until the next boot"),
    Verb(("--query-installed",), "exit with 0 if the service is installed, or 1"),
    Verb(
        ("--status",),
        "say whether the service runs; exit with 0 if it does, 3 if not, 4 if it is not installed",
    ),
    Verb(("--check",), "say all that is wrong with settings, key and port"),
)


class Modifier(NamedTuple):
    """An option that says how a verb is to be done.

    Attributes:
        flags: its options; the last is the long one.
        help: what it changes.
        verbs: the verbs that know it.
        metavar: the name of its value in the help; none if it has no value.
    """

    flags: Tuple[str, ...]
    help: str
    verbs: Tuple[str, ...]
    metavar: str = ""

    @property
    def name(self) -> str:
        """Its attribute in what argparse returns."""
        return self.flags[-1][2:].replace("-", "_")


#: The verbs that take settings of the server.
_WITH_SETTINGS = ("serve", "install", "check")

_CHANGING = ("install", "uninstall", "start", "stop")
_OF_SERVICE = (*_CHANGING, "query_installed", "status", "check")

MODIFIERS: Tuple[Modifier, ...] = (
    Modifier(
        ("-O", "--overwrite"),
        "with -g: replace FILE if it exists; with --install: make a new key",
        ("generate", "install"),
    ),
    Modifier(
        ("--config",),
        "with -S, --check: read settings from FILE; options go before it",
        ("serve", "check"),
        "FILE",
    ),
    Modifier(("--dry-run",), "only say what would be written and run", _CHANGING),
    Modifier(("--system",), "with --dry-run: for another kind of system", _OF_SERVICE, "SYSTEM"),
    Modifier(("--user",), "a service of your own instead of the machine's", _OF_SERVICE),
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="easycluster",
        description="The standalone server of EasyCluster, for hosts that are not reached by ssh.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"easycluster {VERSION}")
    verbs = parser.add_argument_group("what to do")
    for verb in VERBS:
        _add(verbs, verb.flags, verb.help, verb.metavar)
    for modifier in MODIFIERS:
        _add(verbs, modifier.flags, modifier.help, modifier.metavar)
    for section, heading in SECTIONS.items():
        group = parser.add_argument_group(heading)
        for option in OPTIONS:
            if option.section == section:
                _add_option(group, option)
    return parser


def _add(group: argparse._ArgumentGroup, flags: Sequence[str], text: str, metavar: str) -> None:
    if metavar:
        group.add_argument(*flags, metavar=metavar, help=text)
    else:
        group.add_argument(*flags, action="store_true", help=text)


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    text = option.help.replace("%", "%%")
    if option.metavar and option.default not in (None, []):
        text += f" (default: {option.default})"
    if option.metavar:
        group.add_argument(
            *option.flags, dest=option.name, action=option.kind.action, metavar=option.metavar, help=text
        )
    else:
        group.add_argument(
            *option.flags, dest=option.name, action=option.kind.action, help=text, default=None
        )


def find_verb(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Return the name of the verb that is given, or none if nothing at all is.

    Raises:
        UsageError: there are two verbs, or options without one.
    """
    given = [verb for verb in VERBS if getattr(options, verb.name)]
    names = [verb.name for verb in given]
    if names == ["install", "start"]:
        del given[1:]
    if len(given) > 1:
        flags = " and ".join(verb.flags[0] for verb in given)
        hint = ": make the key first, then serve with -k FILE" if options.generate and options.serve else ""
        raise UsageError(f"{flags} exclude each other{hint}")
    others = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    if given:
        _check_modifiers(given[0], others)
        return given[0].name
    if others == ["overwrite"]:
        raise UsageError("-O is for making a key: add -g FILE")
    if others:
        raise UsageError(
            "add -S to serve (easycluster -S -k FILE), -g FILE to make a key, or -i to install a service"
        )
    return ""


def _check_modifiers(verb: Verb, given: Sequence[str]) -> None:
    """Raise if an option is given that the verb would ignore."""
    for modifier in MODIFIERS:
        if modifier.name in given and verb.name not in modifier.verbs:
            flags = " and ".join(each.flags[0] for each in VERBS if each.name in modifier.verbs)
            raise UsageError(f"{modifier.flags[0]} is not for {verb.flags[0]}, but for {flags}")
    if verb.name not in _WITH_SETTINGS:
        for option in OPTIONS:
            if option.name in given:
                raise UsageError(f"{option.flags[0]} is not for {verb.flags[0]}, which takes no settings")


def read_settings(options: argparse.Namespace) -> Settings:
    """Return the settings that are given by options.

    Raises:
        UsageError: a value cannot be read; the message names its option.
    """
    given: Dict[str, Setting] = {}
    for option in OPTIONS:
        value: Setting = getattr(options, option.name)
        if value is None:
            continue
        try:
            given[option.name] = option.kind.read_option(value)
        except ValueError as error:
            raise UsageError(f"{option.flags[0]}: {error}") from error
    return Settings(given)
