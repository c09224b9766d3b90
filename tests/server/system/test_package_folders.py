from __future__ import annotations

import subprocess
import sys

from easycluster_server._system.package_folders import find_package_folders


def test_folders_of_packages() -> None:
    """An isolated interpreter with these folders on its path finds our packages; none is named twice."""
    folders = find_package_folders()
    code = "import sys; sys.path[:0] = sys.argv[1:]; import easycluster_server._processes.worker, easycluster"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, *folders], check=True)

    assert len(set(folders)) == len(folders)
