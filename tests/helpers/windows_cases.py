"""Which of the cases that run over each transport run with a server on Windows, too; why the others do not."""

from __future__ import annotations

#: The modules whose cases do. The list only ever gets longer.
MODULES: frozenset[str] = frozenset(
    {"test_await", "test_completions", "test_exceptions", "test_futures", "test_root_proxy", "test_views"}
)

#: Reason → module → cases of these modules that do not, by their functions' names.
NOT_ON_WINDOWS: dict[str, dict[str, set[str]]] = {}


def runs_on_windows(module: str, function: str) -> bool:
    """Return whether the cases of a test function run with a server on Windows."""
    return module in MODULES and not any(
        function in names.get(module, ()) for names in NOT_ON_WINDOWS.values()
    )
