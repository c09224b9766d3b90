"""The settings of one server: what options and file have given, and the defaults for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from .kinds import Setting
from .table import OPTIONS

if TYPE_CHECKING:
    from easycluster_protocol._types import Kwargs


class Settings:
    """The settings of a server.

    Args:
        given: values by the names of `table.Option`; a setting that is missing, or None, has its default.

    Attributes:
        given: those that are not None.
    """

    def __init__(self, given: Mapping[str, Setting]) -> None:
        self.given: Dict[str, Setting] = {name: value for name, value in given.items() if value is not None}
        self._values = {option.name: option.default for option in OPTIONS}
        self._values.update(self.given)

    def over(self, file: Settings) -> Settings:
        """Return these settings, and where they give none, those of a file."""
        given = {**file.given, **self.given}
        if "key" in self.given:
            given["keyfile"] = self.given.get("keyfile")
        return Settings(given)

    def has(self, name: str) -> bool:
        """Return whether a setting is given, and says something."""
        return bool(self.given.get(name))

    def get(self, name: str) -> Setting:
        """Return the value of a setting."""
        return self._values[name]

    def text(self, name: str) -> Optional[str]:
        """Return the value of a setting that is a text."""
        value = self._values[name]
        assert value is None or isinstance(value, str)
        return value

    def number(self, name: str) -> int:
        """Return the value of a setting that is a number or a flag and has a default."""
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def texts(self, name: str) -> List[str]:
        """Return the value of a setting that is a list; without a default it is empty."""
        value = self._values[name] or []
        assert isinstance(value, list)
        return value

    def server_keywords(self) -> Kwargs:
        """Return the keywords of `servers.Server` for the settings that are given."""
        return {
            option.keyword: self.given[option.name]
            for option in OPTIONS
            if option.keyword and option.name in self.given
        }
