"""Commands that run others where the system shows them less than it has."""

from __future__ import annotations

#: Runs another command where /proc is empty; a test that uses it is marked with needs_mounts.
WITHOUT_PROC = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /proc && exec "$@"', "sh")
