"""``easycluster.server`` offers the server's public names."""

from __future__ import annotations

import subprocess
import sys

from easycluster import server


def test_public_names() -> None:
    """Every public name exists, and comes from the server; the command is imported when it is run."""
    for name in server.__all__:
        home = "easycluster.server" if name == "server_main" else "easycluster_server."
        assert getattr(server, name).__module__.startswith(home)


def test_the_client_is_not_imported() -> None:
    """Importing the server never imports the client."""
    script = "import sys, easycluster.server\nassert 'easycluster_client' not in sys.modules\n"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
