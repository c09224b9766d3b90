"""What local libraries do with files and other objects of a host: they never use a local file instead."""

from __future__ import annotations

import array
import csv
import gzip
import io
import json
import mmap
import os
import pickle
import select
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import easycluster

MORE = """
import array, pathlib, socket, subprocess

class Handle(ServerObject):
    def fileno(self):
        return 0
class Offered(Handle):
    export_methods = "@auto", "fileno"
class ByHand(DefaultRemoteProxy):
    pass
class Forwarded(Handle):
    proxy_class = ByHand
for cls in (socket.socket, subprocess.Popen, pathlib.PurePath):
    make_server_class(cls)
"""

#: Libraries that want a descriptor.
WANT_A_NUMBER: dict[str, Callable[[Any], Any]] = {
    "subprocess": lambda file: subprocess.run(["true"], stdin=file, check=True),
    "select": lambda file: select.select([file], [], [], 0),
    "poll": lambda file: select.poll().register(file),
    "mmap": lambda file: mmap.mmap(file.fileno(), 0),
    "fsync": os.fsync,
    "fromfile": lambda file: np.fromfile(file, "u1"),
    "tofile": lambda file: np.zeros(3).tofile(file),
    "a view": lambda file: easycluster.options(file, timeout=60).fileno(),
    "nonblocking": lambda file: file.fileno(nonblocking=True),
}


@pytest.mark.parametrize("use", WANT_A_NUMBER.values(), ids=WANT_A_NUMBER)
def test_no_descriptor_is_taken_for_a_local_one(
    local: Any, tmp_path: Path, use: Callable[[Any], Any]
) -> None:
    """A library that wants a descriptor gets an error that names the way."""
    with (
        local.open(str(tmp_path / "file"), "w+b") as file,
        pytest.raises(io.UnsupportedOperation, match=r"of object \d+ on local:.*host\.os\.fsync\(file\)"),
    ):
        use(file)


def test_files_of_a_host(client: Any, tmp_path: Path) -> None:
    """Libraries read and write by `read` and `write`; functions on the host get the file itself."""
    path = str(tmp_path / "data")

    with client.open(path, "wb") as file:
        array.array("B", b"a,b\n").tofile(file)
        client.os.fsync(file)
        assert file.raw_call_method("fileno", ()) == client.call(lambda file: file.fileno(), file)
        assert client.call(lambda number: number(), file.fileno) == file.raw_call_method("fileno", ())
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
    assert list(csv.reader(client.open(path))) == [["a", "b"]]
    copy = io.BytesIO()
    shutil.copyfileobj(client.open(path, "rb"), copy)
    assert copy.getvalue() == b"a,b\n"


def test_formats(local: Any, tmp_path: Path) -> None:
    """Files in the formats of libraries, written and read by proxies."""

    def opened(name: str, mode: str) -> Any:
        return local.open(str(tmp_path / name), mode)

    with opened("json", "w") as file:
        json.dump([1], file)
    with opened("pickle", "wb") as file:
        pickle.dump([2], file)
    with opened("gzip", "wb") as file, gzip.GzipFile(fileobj=file, mode="wb") as packed:
        packed.write(b"3")
    with opened("zip", "w+b") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("name", b"4")
    with opened("npy", "wb") as file:
        np.save(file, np.arange(5))

    assert json.load(opened("json", "r")) == [1]
    assert pickle.load(opened("pickle", "rb")) == [2]
    assert gzip.GzipFile(fileobj=opened("gzip", "rb")).read() == b"3"
    assert zipfile.ZipFile(opened("zip", "rb")).read("name") == b"4"
    assert np.load(opened("npy", "rb")).tolist() == [0, 1, 2, 3, 4]


def test_other_objects(spawn: Callable[..., Any]) -> None:
    """Sockets, pipes of processes, paths, and classes of the script refuse as well, except where they are told."""
    easycluster.define_common(MORE)
    host = spawn()
    host.eval("None")
    handle, forwarded, offered = host.Handle(), host.Forwarded(), host.Offered()
    link = host.socket.socket()
    process = host.subprocess.Popen(["echo", "said"], stdout=subprocess.PIPE)

    for refusing in (handle, forwarded, link, process.stdout, easycluster.options(forwarded, timeout=60)):
        with pytest.raises(io.UnsupportedOperation):
            refusing.fileno()
    with pytest.raises(io.UnsupportedOperation):
        link.detach()
    with pytest.raises(TypeError, match=r"host\.open\(path\)"):
        os.stat(host.pathlib.Path("/dev/null"))
    for ready in (handle, forwarded, offered):
        assert ready.raw_call_method("fileno", ()) == 0
        assert host.call(lambda number: number(), ready.fileno) == 0
    assert offered.fileno() == 0
    assert host.open(host.pathlib.Path("/dev/null")).read() == ""
    assert process.communicate()[0] == b"said\n"
    link.close()
