"""The configuration file: what it gives, and errors that name file, section and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_server._standalone.config.file import ConfigFileError, read_config_file

TEXT = """\
# A comment.
[server]
keyfile = server.key
port = 12000
allow = 192.0.2.0/24,
    2001:db8::/32
no-ipv6 = yes
; Another one.
verbose = 1
class = QuietServer
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "server.ini"


def failure(path: Path, content: bytes | str) -> str:
    """Read a file that must be refused, and return the message without its path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigFileError) as caught:
        read_config_file(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message[len(f"{path}: ") :]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_reading(path: Path, encoding: str) -> None:
    """Each key is read as its kind; the path of a file starts at the folder of the configuration file."""
    path.write_text(TEXT, encoding=encoding)

    assert read_config_file(str(path)).given == {
        "keyfile": [str(path.parent / "server.key")],
        "port": 12000,
        "allow": ["192.0.2.0/24", "2001:db8::/32"],
        "no_ipv6": True,
        "verbose": 1,
        "class": "QuietServer",
    }


def test_absolute_path(path: Path) -> None:
    """An absolute path stays as it is."""
    path.write_text("[server]\nkeyfile = /etc/x.key\n")

    assert read_config_file(str(path)).given == {"keyfile": ["/etc/x.key"]}


def test_empty_file(path: Path) -> None:
    """A file without settings gives none."""
    path.touch()

    assert read_config_file(str(path)).given == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("[servers]\n", "there is no section [servers]; there are [server]", id="section"),
        pytest.param("[DEFAULT]\nport = 5\n", "there is no section [DEFAULT]; there are", id="defaults"),
        pytest.param(
            "[server]\nprt = 5\n", "[server] has no key 'prt'; it has keyfile, port, bind,", id="key"
        ),
        pytest.param("[server]\nPort = 5\n", "[server] has no key 'Port'; it has", id="key in capitals"),
        pytest.param("[server]\nkey = secret\n", "[server] has no key 'key'; it has", id="the key itself"),
        pytest.param(
            "[server]\nport = x\n", "[server] port: x is not a TCP port, a number from 0", id="value"
        ),
        pytest.param("[server]\nbind =\n", "[server] bind: the value is blank", id="blank"),
        pytest.param("port = 5\n", "line 1 stands below no section; write [server]", id="no section"),
        pytest.param("[server]\nport\n", "line 2 is not KEY = VALUE", id="no value"),
        pytest.param("[server]\nport = 5\nport = 6\n", "While reading from ", id="twice"),
        pytest.param(b"[server]\nbind = \xff\n", "it is not text in UTF-8", id="binary"),
    ],
)
def test_errors(path: Path, content: bytes | str, message: str) -> None:
    """Whatever is wrong in the file is one line that names the file, the section and the key."""
    assert failure(path, content).startswith(message)


def test_error_of_a_key_in_another_section(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key below the wrong heading is an error that names the right one."""
    monkeypatch.setattr(
        "easycluster_server._standalone.config.file.SECTIONS", {"server": "serving", "limits": "limits"}
    )

    assert failure(path, "[limits]\nport = 5\n") == "[limits] has no key 'port'; it belongs below [server]"


def test_missing_file(path: Path) -> None:
    """A file that cannot be read is an error of the system, which names it."""
    with pytest.raises(FileNotFoundError, match=r"server\.ini"):
        read_config_file(str(path))
