"""A network namespace, which stands for another machine, and the cable that leads to it."""

from __future__ import annotations

import shutil
import subprocess
import uuid


class Cable:
    """A cable to a network namespace of its own; nothing but this cable leads there.

    Args:
        number: that of its network, below 64; two cables at once need two.

    Attributes:
        command: runs a command at the other end.
        address: that of the other end.
    """

    def __init__(self, number: int) -> None:
        self._name = f"ec{uuid.uuid4().hex[:8]}"
        self._near, self._far = f"{self._name}n", f"{self._name}f"
        self.command = (shutil.which("ip") or "ip", "netns", "exec", self._name)
        self.address = f"10.213.7.{4 * number + 2}"
        _run("ip", "netns", "add", self._name)
        try:
            _run(
                "ip",
                "link",
                "add",
                self._near,
                "type",
                "veth",
                "peer",
                "name",
                self._far,
                "netns",
                self._name,
            )
            _run("ip", "addr", "add", f"10.213.7.{4 * number + 1}/30", "dev", self._near)
            _run("ip", "link", "set", self._near, "up")
            _run("ip", "-n", self._name, "addr", "add", f"{self.address}/30", "dev", self._far)
            _run("ip", "-n", self._name, "link", "set", "lo", "up")
            self.plug()
        except BaseException:
            self.remove()
            raise

    def plug(self) -> None:
        """Plug it in."""
        _run("ip", "-n", self._name, "link", "set", self._far, "up")

    def pull(self) -> None:
        """Pull it: packets vanish, and nobody is told."""
        _run("ip", "-n", self._name, "link", "set", self._far, "down")

    def remove(self) -> None:
        """Take it away, with the other end."""
        # First, because the network of a namespace goes some time after that.
        subprocess.run(["ip", "link", "del", self._near], check=False, stderr=subprocess.DEVNULL)
        _run("ip", "netns", "del", self._name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
