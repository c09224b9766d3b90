"""Which ways of TLS this Python has. Nothing of `ssl` is imported for the answer: few connections need it."""

from __future__ import annotations

import sys
from typing import List

from easycluster_protocol._handshake.encryption import BY_CERTIFICATE, BY_KEY


def find_ways() -> List[str]:
    """Return the ways of TLS that this Python has, see `_handshake.encryption`."""
    return [way for way, can in ((BY_KEY, _can_use_key()), (BY_CERTIFICATE, _can_use_certificates())) if can]


def _can_use_key() -> bool:
    if sys.version_info < (3, 13):  # novm
        return False
    try:
        import _ssl  # 1 ms, without the rest of `ssl`
    except ImportError:
        return False
    return bool(getattr(_ssl, "HAS_PSK", False))


def _can_use_certificates() -> bool:
    if sys.version_info < (3, 7):  # novm
        return False
    if "_ssl" in sys.modules:
        return True
    # As importlib.util.find_spec, which takes 2 to 10 ms to import.
    finders = [getattr(finder, "find_spec", None) for finder in sys.meta_path]
    return any(find is not None and find("_ssl", None) is not None for find in finders)
