"""Writing the configuration file: a first one that explains each setting, and changes that keep the rest."""

from __future__ import annotations

import re
from typing import List, Mapping, Tuple

from .kinds import Setting
from .table import OPTIONS, SECTIONS, Option

_HEAD = """\
# The settings of an EasyCluster server; `easycluster --check` looks for errors in them.
# A line that begins with # is a comment; after a change, start the server again.
"""


def make_template() -> str:
    """Return a configuration file that has every setting as a comment."""
    parts = [_HEAD]
    for section, meaning in SECTIONS.items():
        parts.append(f"\n[{section}]\n# {meaning.capitalize()}.\n")
        parts += [_describe(option) for option in _options_of(section)]
    return "".join(parts)


def edit(text: str, values: Mapping[str, Setting]) -> str:
    """Return the text of a configuration file with other values, and with everything else as it was.

    Args:
        text: a configuration file that can be read.
        values: by the names of `table.Option`.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    for option in OPTIONS:
        if option.in_file and option.name in values:
            text = _set(text, option, option.kind.write(values[option.name]))
    return text


def _options_of(section: str) -> List[Option]:
    return [option for option in OPTIONS if option.section == section and option.in_file]


def _describe(option: Option) -> str:
    default = "" if option.default is None else option.kind.write(option.default)
    shown = f" (default: {default})" if default and "default" not in option.help else ""
    return f"\n# {option.help}{shown}\n#{option.key} = {default}".rstrip() + "\n"


def _set(text: str, option: Option, value: str) -> str:
    """Put a value where the setting stands, or else its comment, or else at the beginning of its section."""
    line = f"{option.key} = {value}\n"
    start, end = _find_section(text, option.section)
    if start < 0:
        return f"{text}\n[{option.section}]\n{line}".lstrip("\n")
    section = text[start:end]
    key = re.escape(option.key)
    for pattern in (rf"^{key}[ \t]*=.*\n?(?:[ \t]+\S.*\n?)*", rf"^#[ \t]*{key}[ \t]*=.*\n?"):
        changed, count = re.subn(pattern, lambda _: line, section, count=1, flags=re.MULTILINE)
        if count:
            return text[:start] + changed + text[end:]
    return text[:start] + line + text[start:]


def _find_section(text: str, section: str) -> Tuple[int, int]:
    """Return where the lines of a section begin and end, or -1 twice."""
    found = re.search(rf"^\[{re.escape(section)}\].*(?:\n|\Z)", text, re.MULTILINE)
    if not found:
        return -1, -1
    following = re.search(r"^\[", text[found.end() :], re.MULTILINE)
    return found.end(), found.end() + following.start() if following else len(text)
