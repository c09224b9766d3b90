from __future__ import annotations

import subprocess
import sys

import pytest

#: What there may be of `ctypes`: what is done before the module is imported.
PYTHONS = {
    "CPython": "",
    "PyPy": "import ctypes, _ctypes; del _ctypes.call_cdeclfunction",
    "embedded": "sys.modules['_ctypes'] = None",
}

CODE = """
import sys
{prepare}
import os
from easycluster_server._system import libc
print(
    libc.call("getpid") == os.getpid(),
    libc.call("fflush", None),
    libc.call_with_variable("ferror", "stdout"),
    libc.call("no_function_of_this_name"),
    libc.call_with_variable("ferror", "no_variable_of_this_name"),
    "ctypes" in sys.modules,
)
"""


@pytest.mark.parametrize(
    ("python", "found"),
    [
        ("CPython", "True 0 0 None None False"),
        ("PyPy", "True 0 0 None None True"),
        ("embedded", "False None None None None False"),
    ],
)
def test_c_library(python: str, found: str) -> None:
    """Functions of the C library are called with what there is of `ctypes`; those that cannot be had give None."""
    command = [sys.executable, "-c", CODE.format(prepare=PYTHONS[python])]

    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == found + "\n"
