"""What the views of `easycluster.options` share."""

from __future__ import annotations

from typing import Any, NoReturn

from easycluster_client._calls.keywords import OPTIONS


class View:
    """Base of the views: every name that is not theirs belongs to what they show.

    Args:
        target: what it shows.
        chosen: the options that calls carry.
    """

    __slots__ = ("_inside",)

    _inside: tuple[Any, Any]

    def __init__(self, target: Any, chosen: dict[str, Any]) -> None:
        _set_inside(self, (target, chosen))

    def __repr__(self) -> str:
        target, chosen = self._inside
        return f"<{target!r} with {', '.join(f'{name}={value!r}' for name, value in chosen.items())}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} cannot be sent")


_set_inside = View.__dict__["_inside"].__set__


def split(kwargs: dict[str, Any], chosen: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a function's own keywords, and the options of its call: what it is told itself goes first."""
    own = {name: value for name, value in kwargs.items() if name not in OPTIONS}
    given = {name: value for name, value in kwargs.items() if name in OPTIONS}
    return own, {**chosen, **given}
