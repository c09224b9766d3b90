"""Exceptions of a host that is trusted with its results only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from easycluster_protocol._values.failures import join_chain, make_stand_in
from easycluster_protocol._values.serialize import PLAIN_TYPES, describe

from .own_names import set_attributes
from .plain_names import check
from .untrusted import UntrustedName, make_visible, type_of

if TYPE_CHECKING:
    from easycluster_protocol._types import Buffer, Value

    #: Unpickles what is in so many exceptions, one in the other.
    Load = Callable[[Buffer, int], Value]

#: Servers cut longer chains, and put exceptions that are deeper in others as text.
_MOST_LINKS, _MOST_LEVELS = 32, 8

_LONGEST_TYPE = 200
_MOST_BASES = 100


def unpack_exception(load: Load, body: Buffer, host: str) -> tuple[BaseException, list[str]]:
    """Rebuild the exception in the body of a FAILURE message.

    Args:
        load: unpickles for a host that is trusted with its results only.
        body: the body.
        host: the name of the server.

    Returns:
        See `easycluster_protocol._values.failures.unpack_exception`.

    Raises:
        ValueError: the body is no description of an exception.
    """
    load = load_once(load, {})
    chain: Value = load(body, 0)
    check(
        type_of(chain) is list and len(chain) > 0 and all(type_of(link) is dict for link in chain),
        "exception",
    )
    chain = [dict(link) for link in chain[:_MOST_LINKS]]
    text = chain[0].get("text")
    check(type_of(text) is list and all(type_of(line) is str for line in text), "exception")
    chain[0]["text"] = [make_visible(line) for line in text]
    for link in chain:
        link.setdefault("suppress", False)
        link.setdefault("relation", "context")
        check(type(link["suppress"]) is bool, "exception")
    return join_chain(chain, host, lambda link: rebuild_link(load, link, 0))


def load_once(load: Load, loaded: dict[int, tuple[Buffer, Value]]) -> Load:
    """Return a function that loads each body once: a pickle may have it many times.

    Args:
        load: loads a body.
        loaded: what has been loaded, by the ids of the bodies.
    """

    def load_new(body: Buffer, level: int) -> Value:
        if id(body) not in loaded:
            loaded[id(body)] = body, load(body, level)  # with the body, so that no other gets its id
        return loaded[id(body)][1]

    return load_new


def rebuild_link(load: Load, link: Value, level: int) -> BaseException:
    """Return the exception of one link, or a stand-in if it is not trusted or cannot be rebuilt."""
    check(type_of(link) is dict and level <= _MOST_LEVELS, "exception")
    pickled, reason = link.get("pickled"), link.get("reason")
    if type_of(pickled) is bytes:
        try:
            error = load(pickled, level)
            if isinstance(error, Exception):
                return error
            reason = "its pickle is not an exception here"
        except UntrustedName as failure:
            reason = f"its pickle names {failure}, and this connection has trust=results"
        except KeyboardInterrupt:
            raise
        except BaseException as failure:  # a class that the script trusts may do anything
            reason = describe(failure)
    stand_in = make_stand_in(_clean(link), None if reason is None else make_visible(str(reason)))
    for name, value in _clean_attributes(link.get("attributes")).items():
        try:
            set_attributes(stand_in, {name: value})
        except ValueError:  # Python has it for itself
            pass
    return stand_in


def _clean(link: dict[str, Value]) -> dict[str, Value]:
    """Return what a stand-in is made from."""
    texts: dict[str, Value] = {name: link.get(name) for name in ("type", "module", "message")}
    check(all(type_of(text) is str for text in texts.values()), "exception")
    bases: Value = link.get("bases")
    check(type_of(bases) is list and all(type_of(name) is str for name in bases[:_MOST_BASES]), "exception")
    return {
        "type": make_visible(texts["type"][:_LONGEST_TYPE]),
        "module": make_visible(texts["module"][:_LONGEST_TYPE]),
        "message": make_visible(texts["message"]),
        "bases": bases[:_MOST_BASES],
        "attributes": {},
    }


def _clean_attributes(attributes: Value) -> dict[str, Value]:
    if type_of(attributes) is not dict:
        return {}
    return {
        name: value
        for name, value in attributes.items()
        if type_of(name) is str and name != "args" and type_of(value) in PLAIN_TYPES
    }
