"""The steps of installing and uninstalling: each can be described, and performed any number of times."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import Callable, List, Sequence, Tuple

from easycluster_protocol.errors import EasyClusterError
from easycluster_protocol.keys import generate_key, read_key_file, write_key_file


class ServiceError(EasyClusterError, OSError):
    """A step failed: a program of the system refused, or is missing. The text has its own words."""


class Step:
    """One thing to do. Performing it again changes nothing."""

    def describe(self) -> str:
        """Return what would be done, as lines for people."""
        raise NotImplementedError

    def perform(self) -> str:
        """Do it, and return what was changed, as a line for people, or "" if everything was so already.

        Raises:
            OSError: it cannot be done.
        """
        raise NotImplementedError


class MakeFolder(Step):
    """Make a folder, and those above it; one that exists stays as it is.

    Args:
        path: the folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        """Return what would be done."""
        return f"make the folder {self.path}"

    def perform(self) -> str:
        """Make it."""
        if os.path.isdir(self.path):
            return ""
        os.makedirs(self.path, 0o755)
        return f"made the folder {self.path}"


class WriteFile(Step):
    """Write a text file; one with the same content stays untouched.

    Args:
        path: the file.
        content: its text.
        mode: its permissions.
    """

    def __init__(self, path: str, content: str, mode: int = 0o644) -> None:
        self.path = path
        self.content = content
        self.mode = mode

    def describe(self) -> str:
        """Return the path and the content, indented."""
        lines = "".join(f"    {line}".rstrip() + "\n" for line in self.content.splitlines())
        return f"write {self.path} (mode {self.mode:04o}):\n{lines}".rstrip("\n")

    def perform(self) -> str:
        """Write it beside its place and move it there: a reader sees the old one or the new one."""
        data = self.content.encode("utf-8")
        try:
            with open(self.path, "rb") as file:
                if file.read() == data:
                    return ""
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), 0o755, exist_ok=True)
        # Nobody can have made a file of this name before, as a link to another one.
        descriptor, temporary = tempfile.mkstemp(
            ".new", f"{os.path.basename(self.path)}.", os.path.dirname(self.path)
        )
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
            os.chmod(temporary, self.mode)
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        return f"wrote {self.path}"


class WriteKey(Step):
    """Put the server's key in its place, readable by its owner only.

    Args:
        path: the file of the service's key.
        key: the key; b"" makes a new one unless the file exists.
        source: where the key is from, for people.
        overwrite: make a new key even if the file exists.
    """

    def __init__(self, path: str, key: bytes = b"", source: str = "", overwrite: bool = False) -> None:
        self.path = path
        self._key = key
        self._source = source
        self._overwrite = overwrite

    def describe(self) -> str:
        """Return what would be done, without the key."""
        if self._source:
            return f"write the key of {self._source} to {self.path} (mode 0600)"
        exists = "" if self._overwrite else ", unless it exists"
        return f"write a new key to {self.path} (mode 0600){exists}"

    def perform(self) -> str:
        """Write it."""
        if self._key:
            if os.path.exists(self.path) and read_key_file(self.path) == self._key:
                return ""
            write_key_file(self.path, self._key, overwrite=True)
            return f"wrote the key of {self._source} to {self.path}"
        if not write_key_file(self.path, generate_key(), overwrite=self._overwrite):
            return ""
        return f"wrote a new key to {self.path}; masters need the same file"


class Remove(Step):
    """Remove a file, or a folder if it is empty; one that is not there, or is not empty, is no error.

    Args:
        path: the file or folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        """Return what would be done."""
        return f"remove {self.path}"

    def perform(self) -> str:
        """Remove it."""
        try:
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                if os.listdir(self.path):
                    return ""
                os.rmdir(self.path)
            else:
                os.unlink(self.path)
        except FileNotFoundError:
            return ""
        return f"removed {self.path}"


class Run(Step):
    """Run a program of the system.

    Args:
        command: the program and its arguments.
        unless: asked before; the program is not run if this returns True, because its work is done already.
        may_fail: a failure is told and is no error.
    """

    def __init__(
        self, *command: str, unless: Callable[[], bool] = lambda: False, may_fail: bool = False
    ) -> None:
        self.command = command
        self._unless = unless
        self._may_fail = may_fail

    def describe(self) -> str:
        """Return the command line."""
        return f"run: {quote(self.command)}"

    def perform(self) -> str:
        """Run it."""
        if self._unless():
            return ""
        status, output = run_command(self.command)
        if status == 0:
            return f"ran: {quote(self.command)}"
        message = f"{quote(self.command)} failed: {output or f'exit status {status}'}"
        if not self._may_fail:
            raise ServiceError(message)
        return message


def run_command(command: Sequence[str]) -> Tuple[int, str]:
    """Run a program; return its exit status, 127 if it is missing, and all that it printed, on one line."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except FileNotFoundError:
        return 127, f"there is no program {command[0]}"
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return done.returncode, "; ".join(line.strip() for line in lines if line.strip())


def quote(command: Sequence[str]) -> str:
    """Return a command line as a shell reads it."""
    return " ".join(shlex.quote(word) for word in command)


def perform_all(steps: Sequence[Step], tell: Callable[[str], object]) -> bool:
    """Perform steps one after another; return whether any changed something.

    Args:
        steps: the steps.
        tell: called with what each has changed.

    Raises:
        OSError: one failed; those after it were not begun.
    """
    changed: List[str] = []
    for step in steps:
        done = step.perform()
        if done:
            changed.append(done)
            tell(done)
    return bool(changed)
