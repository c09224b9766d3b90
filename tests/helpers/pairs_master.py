"""A master that tries every feature with every host that it is given, for `docs/pythons.md`.

Run by each master's Python, with a JSON object as its argument: from the version of a host's Python to the
keyword arguments of `Client`, ``key_file`` in place of the key. It prints a JSON object: from the same
versions to an object from each feature to "works", "lacking", or the stack trace of another failure.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import easycluster
from easycluster_protocol.keys import read_key_file
from helpers.features import DEFINITIONS, Feature, Lacking, Pair, load_features


def _try_host(there: str, key_file: str | None = None, **how: Any) -> dict[str, str]:
    how["key"] = None if key_file is None else read_key_file(key_file)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with (
        easycluster.Client(**how) as client,
        easycluster.ThreadedClient(**how, enable_compression=True) as threaded,
    ):
        pair = Pair(client, threaded, here, there)
        return {name: _try(function, pair) for name, function in load_features().items()}


def _try(function: Feature, pair: Pair) -> str:
    try:
        function(pair)
    except Lacking:
        return "lacking"
    except Exception:
        return traceback.format_exc()
    return "works"


if __name__ == "__main__":
    easycluster.define_common(DEFINITIONS)
    hosts = json.loads(sys.argv[1])
    json.dump({there: _try_host(there, **how) for there, how in hosts.items()}, sys.stdout)
