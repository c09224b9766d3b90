"""The configuration file of a server, in the format of `configparser`."""

from __future__ import annotations

import configparser
import os
from typing import Dict, List

from easycluster_protocol.errors import EasyClusterError

from .kinds import Setting
from .settings import Settings
from .table import OPTIONS, SECTIONS

#: By section and key.
_ROWS = {(option.section, option.key): option for option in OPTIONS if option.in_file}


class ConfigFileError(EasyClusterError, ValueError):
    """A configuration file cannot be used; the text names file, section and key.

    Args:
        problems: all that is wrong with it; the text is the first.

    Attributes:
        problems: the same.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(problems[0])
        self.problems = problems


def read_config_file(path: str) -> Settings:
    """Read a configuration file. Paths in it start at its own folder.

    Raises:
        ConfigFileError: it is no such file, a section or key is unknown, or a value cannot be read.
        OSError: the file cannot be read.
    """
    given: Dict[str, Setting] = {}
    problems: List[str] = []
    for section, keys in _parse(path).items():
        if section not in SECTIONS:
            known = ", ".join(f"[{each}]" for each in SECTIONS)
            problems.append(f"{path}: there is no section [{section}]; there are {known}")
            continue
        for key, text in keys.items():
            option = _ROWS.get((section, key))
            if option is None:
                problems.append(f"{path}: [{section}] has no key {key!r}{_guess(section, key)}")
                continue
            try:
                value = option.kind.read(text)
            except ValueError as error:
                problems.append(f"{path}: [{section}] {key}: {error}")
                continue
            given[option.name] = option.kind.start_at(os.path.dirname(os.path.abspath(path)), value)
    if problems:
        raise ConfigFileError(*problems)
    return Settings(given)


def _guess(section: str, key: str) -> str:
    """Return what to write instead of an unknown key."""
    sections = [row for row, name in _ROWS if name == key]
    if sections:
        return f"; it belongs below [{sections[0]}]"
    return f"; it has {', '.join(name for row, name in _ROWS if row == section)}"


def _parse(path: str) -> Dict[str, Dict[str, str]]:
    """Return the texts of a file by section and key."""
    parser = configparser.ConfigParser(
        interpolation=None,
        delimiters=("=",),
        default_section="",  # no section gives defaults to the others
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        # -sig: Windows editors put a byte order mark before the text.
        with open(path, encoding="utf-8-sig") as file:
            parser.read_file(file, path)
    except UnicodeDecodeError:
        raise ConfigFileError(f"{path}: it is not text in UTF-8") from None
    except configparser.MissingSectionHeaderError as error:
        raise ConfigFileError(
            f"{path}: line {error.lineno} stands below no section; write [{next(iter(SECTIONS))}] above it"
        ) from None
    except configparser.ParsingError as error:
        number, _ = error.errors[0]  # the line itself may be a secret
        raise ConfigFileError(f"{path}: line {number} is not KEY = VALUE") from None
    except configparser.Error as error:
        raise ConfigFileError(f"{path}: {' '.join(str(error).split())}") from error
    return {section: dict(parser.items(section)) for section in parser.sections()}
