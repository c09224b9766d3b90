"""The options of the command. Those that are settings of a server come from the table of settings."""

from __future__ import annotations

import argparse
from typing import Dict, NamedTuple, Tuple

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

exit status: 0 done, 1 failed, 2 wrong command line or configuration file
"""


class Verb(NamedTuple):
    """An option that says what to do; exactly one is given.

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
        if verb.metavar:
            verbs.add_argument(*verb.flags, metavar=verb.metavar, help=verb.help)
        else:
            verbs.add_argument(*verb.flags, action="store_true", help=verb.help)
    parser.add_argument("-O", "--overwrite", action="store_true", help="with -g: replace FILE if it exists")
    parser.add_argument(
        "--config", metavar="FILE", help="with -S: read settings from this file; options go before it"
    )
    for section, heading in SECTIONS.items():
        group = parser.add_argument_group(heading)
        for option in OPTIONS:
            if option.section == section:
                _add_option(group, option)
    return parser


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
    if len(given) > 1:
        flags = " and ".join(verb.flags[0] for verb in given)
        hint = ": make the key first, then serve with -k FILE" if options.generate and options.serve else ""
        raise UsageError(f"{flags} exclude each other{hint}")
    if given:
        return given[0].name
    others = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    if others == ["overwrite"]:
        raise UsageError("-O is for making a key: add -g FILE")
    if others:
        raise UsageError("add -S to serve (easycluster -S -k FILE), or -g FILE to make a key")
    return ""


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
