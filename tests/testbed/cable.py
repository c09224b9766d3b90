"""A cable between this machine and a host in namespaces: it delays, loses and drops frames, or is slow.

It joins two TAP devices, one here and one in the host's network namespace, and reads commands on its standard input;
each is answered by a line. It works in user space, because not every kernel can delay packets. Run as a script::

    cable.py DEVICE ADDRESS/BITS

| command | what happens |
|---|---|
| `plug PID ADDRESS/BITS` | the other end is put into the network namespace of this process |
| `pass THERE BACK` | 0: frames in that direction are dropped; 1: they pass |
| `delay SECONDS` | every frame arrives that much later, in both directions |
| `loss SHARE` | that share of the frames is lost, always the same ones |
| `rate BITS` | so many bits pass in a second, in each direction; 0: all |

It ends with its standard input, and the devices with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000
CLONE_NEWNET = 0x40000000
#: The name of the device in the host, and its hardware address, which a host that has crashed has again.
INSIDE, HARDWARE = "eth0", "02:00:00:00:00:01"
#: A frame that would wait longer for its turn is lost, as where a router's queue is full.
LONGEST_QUEUE = 0.3


class Direction:
    """What is on its way in one direction.

    Args:
        seed: of the choice of the frames that are lost.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._frames: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        self.passes = True
        self.delay = 0.0
        self.loss = 0.0
        self.rate = 0.0

    def take(self, frame: bytes) -> None:
        """Send a frame on its way."""
        if not self.passes or (self.loss and self._random.random() < self.loss):
            return
        now = time.monotonic()
        if self.rate:
            begin = max(now, self._free)
            if begin - now > LONGEST_QUEUE:
                return
            now = self._free = begin + len(frame) * 8 / self.rate
        self._frames.append((now + self.delay, frame))

    def deliver(self, target: int) -> float | None:
        """Write what has arrived; return when the next frame will have, or None."""
        now = time.monotonic()
        while self._frames and self._frames[0][0] <= now:
            with contextlib.suppress(OSError):  # the host has gone, or its device is down
                os.write(target, self._frames.popleft()[1])
        return self._frames[0][0] if self._frames else None


class Cable:
    """The two ends and what is between them."""

    def __init__(self, device: str, address: str) -> None:
        self._there, self._back = Direction(1), Direction(2)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._outer = make_device(device, address)
        self._inner = -1

    def run(self) -> None:
        """Pass frames on until the standard input ends."""
        while True:
            timers = (self._there.deliver(self._inner), self._back.deliver(self._outer))
            due = min((each for each in timers if each is not None), default=None)
            wait = None if due is None else max(0.0, due - time.monotonic())
            sources = [0, self._outer] + [self._inner] * (self._inner >= 0)
            ready, _, _ = select.select(sources, [], [], wait)
            if 0 in ready and not self._obey(os.read(0, 4096).decode()):
                return
            for source, direction in ((self._outer, self._there), (self._inner, self._back)):
                if source in ready:
                    self._read(source, direction)

    def _read(self, source: int, direction: Direction) -> None:
        for _ in range(64):
            try:
                frame = os.read(source, 65536)
            except BlockingIOError:
                return
            except OSError:  # the host has gone with its network
                if source == self._inner:
                    self._unplug()
                return
            direction.take(frame)

    def _obey(self, command: str) -> bool:
        words = command.split()
        if not words:
            return False
        verb, *values = words
        if verb == "plug":
            self._plug(*values)
        elif verb == "pass":
            self._there.passes, self._back.passes = values[0] == "1", values[1] == "1"
        else:
            for direction in (self._there, self._back):
                assert hasattr(direction, verb), command
                setattr(direction, verb, float(values[0]))
        os.write(1, b"done\n")
        return True

    def _plug(self, pid: str, address: str) -> None:
        self._unplug()
        set_namespace(f"/proc/{pid}/ns/net")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            self._inner = make_device(INSIDE, address, HARDWARE)
        finally:
            set_namespace(f"/proc/self/fd/{self._home}")

    def _unplug(self) -> None:
        if self._inner >= 0:
            os.close(self._inner)
            self._inner = -1


def set_namespace(path: str) -> None:
    """Go into a network namespace."""
    file = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(file)


def make_device(name: str, address: str, hardware: str = "") -> int:
    """Make a TAP device with an address in the current namespace; it lasts as long as its descriptor."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    commands = f"address add {address} dev {name}\nlink set {name} up\n"
    if hardware:
        commands = f"link set {name} address {hardware}\n{commands}"
    subprocess.run(["ip", "-batch", "-"], input=commands.encode(), check=True)
    return tap


if __name__ == "__main__":
    cable = Cable(sys.argv[1], sys.argv[2])
    os.write(1, b"done\n")
    cable.run()
