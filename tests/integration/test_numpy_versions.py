"""NumPy 2 at one end and NumPy 1 at the other: arrays travel in both directions, and what cannot says why."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easycluster import Client, define_common
from easycluster_protocol._limits import OUT_OF_BAND_BYTES
from easycluster_protocol.errors import DeserializationError
from helpers.old_numpy import VERSIONS, python_with_old_numpy
from helpers.servers import Server
from helpers.sshd import Sshd

ROOT = Path(__file__).parents[2]

DEFINITIONS = """
import numpy as np

def echo(value):
    return value

def describe(value):
    return type(value).__name__, repr(value)

def fail(value):
    raise ValueError(value)
"""

RECORD = np.dtype([("name", "U8"), ("place", "<f8", (3,)), ("flag", "?")])
COUNT = OUT_OF_BAND_BYTES  # so many items travel beside the pickle

VALUES: dict[str, Any] = {
    "small": np.arange(4),
    "large": np.arange(COUNT * 1.0),
    "Fortran order": np.asfortranarray(np.arange(COUNT * 1.0).reshape(64, -1)),
    "strided": np.arange(COUNT)[::2],
    "no dimension": np.array(5.0),
    "structured": np.array([("a", (1, 2, 3), True)] * 3, RECORD),
    "large structured": np.array([("a", (1, 2, 3), True)] * COUNT, RECORD),
    "one record": np.array([("a", (1, 2, 3), True)], RECORD)[0],
    "masked": np.ma.array([1, 2, 3], mask=[False, True, False]),
    "large masked": np.ma.array(np.arange(COUNT), mask=np.arange(COUNT) % 2 == 0),
    "recarray": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "matrix": np.array([[1, 2]]).view(np.matrix),
    "objects": np.array([{"a": np.arange(2)}, None, "text"], object),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "texts": np.array(["some", "text"]),
    "bytes": np.array([b"a", b"bcd"]),
    "big-endian": np.arange(3, dtype=">i8"),
    "float": np.float64(3.5),
    "bool": np.bool_(True),
    "complex": np.complex64(1j),
    "time": np.timedelta64(3, "s"),
    "type": RECORD,
    "function": np.add,
    "deep": {"key": [(np.arange(3), np.float32(1))]},
}


def same(a: Any, b: Any) -> bool:
    """Whether two values are of the same class and equal."""
    if type(a) is not type(b) or repr(a) != repr(b):
        return False
    if not isinstance(a, np.ndarray) or a.dtype.hasobject:
        return True
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


@pytest.fixture(params=["ssh", "tcp"])
def old(request: pytest.FixtureRequest, sshd: Sshd, start_server: Callable[..., Server], key: bytes) -> Any:
    """A client of a server whose Python has NumPy 1."""
    define_common(DEFINITIONS)
    python = python_with_old_numpy("3.8")
    if request.param == "ssh":
        client = Client(host="h", ssh=True, rpython=python, extra_args=sshd.options)
    else:
        sources = [
            ROOT / "packages" / name / "src" for name in ("easycluster-protocol", "easycluster-server")
        ]
        env = {"PYTHONPATH": os.pathsep.join(map(str, sources))}
        server = start_server(command=(python, "-W", "error", "-m", "easycluster"), env=env)
        client = Client(key, "127.0.0.1", server.port)
    with client:
        yield client


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons("python3.8")
def test_arrays(old: Any) -> None:
    """Arrays, scalars, types and masked arrays go to NumPy 1 and come back, as arguments, results and in exceptions."""
    assert old.eval("np.__version__") == VERSIONS["3.8"]
    wrong = [name for name, value in VALUES.items() if not same(value, old.echo(value))]

    assert wrong == []
    assert old.echo(VALUES["large"], nonblocking=True).wait().flags.writeable
    assert old.describe(VALUES["recarray"])[0] == "recarray"
    with pytest.raises(ValueError, match="0") as caught:
        old.fail(np.arange(3), origexc="quiet")
    assert same(caught.value.args[0], np.arange(3))


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons("python3.8")
def test_what_cannot(old: Any) -> None:
    """What that NumPy does not have names the argument, the host, and both versions."""
    texts = np.array(["variable"], dtype=np.dtypes.StringDType())

    with pytest.raises(DeserializationError) as caught:
        old.describe(texts, origexc="quiet")
    said = str(caught.value)
    assert said.startswith(
        f"argument 1 of describe arrived but cannot be rebuilt on {old.peername} (Python 3.8."
    )
    assert f", NumPy {VERSIONS['3.8']})" in said
    assert f"it was sent by Python {sys.version.split()[0]}, NumPy {np.__version__}" in said
    with pytest.raises(DeserializationError, match="^argument 'value' of describe"):
        old.describe(value=[np.arange(3), texts], origexc="quiet")

    assert old.describe(1) == ("int", "1")


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons("python3.8")
def test_results_that_cannot(old: Any) -> None:
    """So does a result that this NumPy does not have."""
    old.execblock("import numpy.core; numpy.core.gone = type('gone', (), {'__module__': 'numpy.core'})")
    with pytest.raises(DeserializationError) as caught:
        old.eval("numpy.core.gone()", origexc="quiet")

    said = str(caught.value)
    assert said.startswith(
        f"the result of eval on {old.peername} arrived but cannot be rebuilt here (Python 3."
    )
    assert f", NumPy {np.__version__}): " in said
    assert f", NumPy {VERSIONS['3.8']})" in said


SCRIPT = """
import json, sys
import numpy as np
import easycluster
assert np.__version__[:2] == "1."
easycluster.define_common(json.loads(sys.argv[2]))
values = [
    np.arange(4), np.arange(100000.0), np.ma.array([1, 2], mask=[0, 1]), np.float64(3.5),
    np.array([("a", 1.5)] * 5000, [("name", "U8"), ("x", "f8")]), np.rec.array([(1, 2.0)], dtype="i4,f8"),
    np.array([None, "x"], object), np.dtype("i4,f8"), [np.bool_(True)],
]
with easycluster.Client(**json.loads(sys.argv[1])) as client:
    assert client.eval("np.__version__")[:2] == "2."
    for value in values:
        copy = client.echo(value)
        assert type(copy) is type(value) and repr(copy) == repr(value), (value, copy)
print("done")
"""


@pytest.mark.needs_sshd
@pytest.mark.needs_pythons("python3.10")
def test_an_old_master(sshd: Sshd, tmp_path: Path) -> None:
    """A master with NumPy 1 sends arrays to NumPy 2 and gets them back."""
    for name in ("cloudpickle", "typing_extensions"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (tmp_path / source.name).symlink_to(source)
    way = {"host": "h", "ssh": True, "rpython": sys.executable, "extra_args": sshd.options}
    result = subprocess.run(
        [
            python_with_old_numpy("3.10"),
            "-W",
            "error",
            "-c",
            SCRIPT,
            json.dumps(way),
            json.dumps(DEFINITIONS),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*ROOT.glob("packages/*/src"), tmp_path]))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.stdout, result.stderr) == ("done\n", "")
