from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import pytest

from easycluster_client._address import format_peername
from easycluster_client._connect.spec import ConnectionParams, parse_connection_spec
from easycluster_protocol.errors import KeyFileError, SpecError
from easycluster_protocol.keys import KeyFileWarning, decode_key, generate_key, write_key_file

KEY = bytes(range(32))
DEFAULT_KEY = bytes(reversed(KEY))


def params(host: str, **others: Any) -> ConnectionParams:
    """What a spec means that says no more than the arguments do."""
    meaning = ConnectionParams(
        key=b"",
        host=host,
        port=11999,
        enable_compression=False,
        ssh=False,
        user=None,
        rpython=None,
        extra_args=(),
    )
    return cast("ConnectionParams", {**meaning, **others})


def ssh_params(host: str, **others: Any) -> ConnectionParams:
    """The same for SSH: unless told otherwise ssh knows the port."""
    return params(host, **{"ssh": True, "port": None, **others})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the key files of the documentation's examples in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("secret.key", "key_for_oddhost.key", "C:\\x.key"):
        write_key_file(name, KEY)
    return tmp_path


# What the documentation says.

DOCUMENTED = [
    ("user@example.com", ssh_params("example.com", user="user")),
    (
        "user@example.com:rpython=python2.7",
        ssh_params("example.com", user="user", rpython="python2.7"),
    ),
    ("example.com:ssh=yes", ssh_params("example.com")),
    ("example.com:ssh=/usr/local/bin/ssh", ssh_params("example.com", ssh="/usr/local/bin/ssh")),
    ("user@192.0.2.1:9999", ssh_params("192.0.2.1", user="user", port=9999)),
    ("user@[2001:db8::2]", ssh_params("2001:db8::2", user="user")),
    ("example.com:kf=secret.key", params("example.com", key=KEY)),
    ("example.com:9999:key=s3cret", params("example.com", port=9999, key=decode_key("s3cret"))),
    ("example.com:compress=1", params("example.com", enable_compression=True)),
    ("host1", params("host1")),
    ("host2", params("host2")),
    ("oddhost:kf=key_for_oddhost.key", params("oddhost", key=KEY)),
    ("localhost:11001", params("localhost", port=11001)),
    ("localhost:11002", params("localhost", port=11002)),
]


@pytest.mark.parametrize(("spec", "meaning"), DOCUMENTED, ids=[spec for spec, _ in DOCUMENTED])
def test_documented_specs(spec: str, meaning: ConnectionParams) -> None:
    """Every spec of the documentation means what stands beside it."""
    assert parse_connection_spec(spec) == meaning


def test_the_documented_script() -> None:
    """With ``-k common.key host1 host2 oddhost:kf=...`` only the odd host has a key of its own."""
    keys = [
        parse_connection_spec(spec, default_key=DEFAULT_KEY)["key"]
        for spec in ("host1", "host2", "oddhost:kf=key_for_oddhost.key")
    ]

    assert keys == [DEFAULT_KEY, DEFAULT_KEY, KEY]


# Hosts and ports.


@pytest.mark.parametrize(
    ("spec", "meaning"),
    [
        ("[::1]", params("::1")),
        ("[2001:db8::2]:9999", params("2001:db8::2", port=9999)),
        ("[::ffff:192.0.2.1]:1:compress=1", params("::ffff:192.0.2.1", port=1, enable_compression=True)),
        ("[fe80::1%eth0]:22", params("fe80::1%eth0", port=22)),
        ("user@[2001:db8::2]:22", ssh_params("2001:db8::2", user="user", port=22)),
        ("user@[2001:db8::2]:ssh=no", params("2001:db8::2", user="user")),
        ("[::1]:kf=secret.key", params("::1", key=KEY)),
        ("127.0.0.1", params("127.0.0.1")),
        ("example.com.", params("example.com.")),
        ("my_host-2", params("my_host-2")),
        ("EXAMPLE.com", params("EXAMPLE.com")),
        ("beef:99", params("beef", port=99)),
        ("1:2", params("1", port=2)),
        ("bücher.example", params("bücher.example")),
        ("उदाहरण.परीक्षा", params("उदाहरण.परीक्षा")),
        ("h:1", params("h", port=1)),
        ("h:65535", params("h", port=65535)),
        ("h:00022", params("h", port=22)),
        ("a.b+c@h", ssh_params("h", user="a.b+c")),
        ("jürgen@h", ssh_params("h", user="jürgen")),
    ],
)
def test_hosts_and_ports(spec: str, meaning: ConnectionParams) -> None:
    """Hosts are names, international ones too, IPv4 addresses, or IPv6 addresses in brackets."""
    assert parse_connection_spec(spec) == meaning


@pytest.mark.parametrize("port", [bytes(range(32)), "s3cret", ["9"]])
def test_key_as_the_default_port(port: Any) -> None:
    """A key in the place of the default port is refused, and no error has it."""
    with pytest.raises(TypeError) as caught:
        parse_connection_spec("h", port)

    assert str(caught.value) == (
        f"the default port is a number, not {type(port).__name__}: a key goes into default_key="
    )
    assert caught.value.__context__ is None


def test_the_default_port() -> None:
    """A default port is that of every spec without one; without it SSH is left to choose."""
    ports = [parse_connection_spec(spec, default_port=12000)["port"] for spec in ("h", "u@h", "h:9", "u@h:9")]

    assert ports == [12000, 12000, 9, 9]
    assert parse_connection_spec("h")["port"] == 11999
    assert parse_connection_spec("u@h")["port"] is None


@pytest.mark.parametrize(("text", "expected"), [("5", 5.0), ("0.5", 0.5), ("86400", 86400.0)])
def test_time_to_connect(text: str, expected: float) -> None:
    """A spec may say how long connecting may take; one that does not leaves it to the client."""
    assert parse_connection_spec(f"user@host:connect_timeout={text}")["connect_timeout"] == expected
    assert "connect_timeout" not in parse_connection_spec("user@host")


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "86401"])
def test_time_to_connect_that_is_none(text: str) -> None:
    """Anything else is refused, without the context of the number's own error."""
    with pytest.raises(
        SpecError, match="option 'connect_timeout' must be a number of seconds above 0"
    ) as caught:
        parse_connection_spec(f"user@host:connect_timeout={text}")

    assert caught.value.__context__ is None


def test_time_to_connect_without_a_value() -> None:
    """An option without a value is refused."""
    with pytest.raises(SpecError, match="option 'connect_timeout' has no value"):
        parse_connection_spec("user@host:connect_timeout=")


@pytest.mark.parametrize(
    ("host", "port", "peername"),
    [("h", 11999, "h:11999"), ("192.0.2.1", 22, "192.0.2.1:22"), ("::1", 22, "[::1]:22")],
)
def test_peernames(host: str, port: int, peername: str) -> None:
    """A peer's name is what a spec for it begins with."""
    assert format_peername(host, port) == peername
    meaning = parse_connection_spec(peername)
    assert (meaning["host"], meaning["port"]) == (host, port)


# Switches, SSH and its options.


@pytest.mark.parametrize("word", ["yes", "1", "on", "true", "YES", "True"])
def test_yes(word: str) -> None:
    """Words for yes turn SSH and compression on."""
    assert parse_connection_spec(f"h:ssh={word}:compress={word}") == ssh_params("h", enable_compression=True)


@pytest.mark.parametrize("word", ["no", "0", "off", "false", "NO", "False"])
def test_no(word: str) -> None:
    """Words for no turn SSH and compression off, whatever the user or the default say."""
    meaning = parse_connection_spec(f"u@h:ssh={word}:compress={word}", default_enable_compression=True)

    assert meaning == params("h", user="u")


def test_compression_by_default() -> None:
    """A script may make compression the default."""
    assert parse_connection_spec("h", default_enable_compression=True)["enable_compression"] is True


@pytest.mark.parametrize(
    ("spec", "meaning"),
    [
        ("h:user=x", params("h", user="x")),
        ("h:user=x:ssh=yes", ssh_params("h", user="x")),
        ("h:ssh=yes:user=me@REALM", ssh_params("h", user="me@REALM")),
        ("u@h:ssh=/opt/ssh", ssh_params("h", user="u", ssh="/opt/ssh")),
        ("u@h:ssh=plink.exe", ssh_params("h", user="u", ssh="plink.exe")),
        (
            r"u@h:ssh=C:\bin\ssh.exe:compress=1",
            ssh_params("h", user="u", ssh=r"C:\bin\ssh.exe", enable_compression=True),
        ),
        ("u@h:rpython=C:/Python/python.exe", ssh_params("h", user="u", rpython="C:/Python/python.exe")),
        ("u@h:rpython=env X=1 python3", ssh_params("h", user="u", rpython="env X=1 python3")),
    ],
)
def test_ssh(spec: str, meaning: ConnectionParams) -> None:
    """SSH is used for ``user@`` and ``ssh=``, not for ``user=`` alone."""
    assert parse_connection_spec(spec) == meaning


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("", ()),
        ("-v", ("-v",)),
        ("-i my.id -v", ("-i", "my.id", "-v")),
        ("-i 'my id'", ("-i", "my id")),
        ('-L "8080:localhost:80" -v', ("-L", "8080:localhost:80", "-v")),
        ("-L '8080:localhost:80'", ("-L", "8080:localhost:80")),
        (r"-L 8080\:localhost\:80", ("-L", "8080:localhost:80")),
        (r'-o "ProxyCommand=nc \"a:b\" %p"', ("-o", 'ProxyCommand=nc "a:b" %p')),
        ("-b [2001:db8::2]", ("-b", "[2001:db8::2]")),
        ("-o ProxyJump=jump", ("-o", "ProxyJump=jump")),
    ],
)
def test_more_ssh_arguments(extra: str, arguments: tuple[str, ...]) -> None:
    """``extra`` is split as a shell would; a ':' within its quotes ends nothing."""
    assert parse_connection_spec(f"u@h:extra={extra}:compress=1") == ssh_params(
        "h", user="u", extra_args=arguments, enable_compression=True
    )


# Keys.


@pytest.mark.parametrize("name", ["kf", "keyfile"])
@pytest.mark.parametrize("path", ["secret.key", "./secret.key", "C:\\x.key"])
def test_key_files(name: str, path: str) -> None:
    """A key file may stand in a path with a drive letter, and options may follow it."""
    meaning = parse_connection_spec(f"h:{name}={path}:compress=1")

    assert meaning == params("h", key=KEY, enable_compression=True)


@pytest.mark.parametrize("text", [KEY.hex(), "s3cret", "a=b", "p@ss/word", "[::1]", " sp ace ", "ключ"])
def test_keys(text: str) -> None:
    """A key is taken as `decode_key` does, and overrides the default."""
    assert parse_connection_spec(f"h:key={text}", default_key=DEFAULT_KEY)["key"] == decode_key(text)


def test_a_blank_key_is_left_to_connecting() -> None:
    """A blank key, or none, is no error of the spec."""
    assert parse_connection_spec("h:key=", default_key=DEFAULT_KEY)["key"] == b""
    assert parse_connection_spec("h", default_key=None)["key"] == b""


def test_a_key_file_that_cannot_be_used(folder: Path) -> None:
    """A missing key file is the error of `open`, a blank one is an error of ours; both name it."""
    (folder / "blank.key").touch(0o600)

    with pytest.raises(
        FileNotFoundError, match=r"No such file .* \(the key file in connection spec .*none\.key"
    ):
        parse_connection_spec("h:kf=none.key")
    with pytest.raises(KeyFileError, match=r"blank\.key"):
        parse_connection_spec("h:kf=blank.key")


@pytest.mark.parametrize("spec", ["u@h", "h:ssh=yes", "u@h:kf=none.key", "u@h:key=s3cret"])
def test_ssh_ignores_keys(spec: str) -> None:
    """With SSH a key is left out, a common one and that of the spec, whose file need not even exist."""
    assert parse_connection_spec(spec, default_key=DEFAULT_KEY)["key"] == b""


# Options of the script's own.


@pytest.mark.parametrize(
    ("custom_options", "own"),
    [
        (["foo"], {"foo": "1"}),
        (("foo", "bar"), {"foo": "1"}),
        ({"foo": "described"}, {"foo": "1"}),
        (iter(["foo"]), {"foo": "1"}),
        (("foo"), {"foo": "1"}),
        (True, {"foo": "1"}),
    ],
)
def test_custom_options(custom_options: Any, own: dict[str, str]) -> None:
    """Options that the script names come back in a dictionary of their own, as text."""
    assert parse_connection_spec("h:foo=1:compress=1", custom_options=custom_options) == (
        params("h", enable_compression=True),
        own,
    )


@pytest.mark.parametrize("custom_options", [["foo"], True])
def test_custom_options_that_are_not_there(custom_options: Any) -> None:
    """With custom options there are always two dictionaries."""
    assert parse_connection_spec("h:compress=no", custom_options=custom_options) == (params("h"), {})


@pytest.mark.parametrize("none", [(), [], None, False])
def test_no_custom_options(none: Any) -> None:
    """Without custom options there is one dictionary."""
    assert parse_connection_spec("h", custom_options=none) == params("h")


def test_values_of_custom_options() -> None:
    """Values are as they stand: blank, spaced, with '=', a drive letter or an IPv6 address."""
    meaning, own = parse_connection_spec(
        r"h:a=:b= x y :c=d=e:d=C:\x:e=[::1]", custom_options=["a", "b", "c", "d", "e"]
    )

    assert meaning == params("h")
    assert own == {"a": "", "b": " x y ", "c": "d=e", "d": r"C:\x", "e": "[::1]"}


def test_known_options_are_never_custom() -> None:
    """A name that EasyCluster knows keeps its meaning."""
    assert parse_connection_spec("h:compress=1", custom_options=["compress"]) == (
        params("h", enable_compression=True),
        {},
    )


@pytest.mark.parametrize("custom_options", [["foo"], ["bar", "foo"]])
def test_unknown_options_beside_custom_ones(custom_options: Collection[str]) -> None:
    """The message about an unknown option lists the script's own ones too."""
    with pytest.raises(SpecError, match=r"unknown option 'baz'; there are .*\bfoo\b"):
        parse_connection_spec("h:baz=1", custom_options=custom_options)


# Warnings.


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings logged by the logger that scripts know."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "easycluster.spec" and record.levelno == logging.WARNING
    ]


def test_a_key_in_a_spec_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A key in a spec is logged as seen by others; the spec is quoted without it."""
    parse_connection_spec("h:key=s3cret:compress=1")

    (warning,) = warnings_in(caplog)
    assert "'h:key=***:compress=1'" in warning
    assert "s3cret" not in caplog.text


def test_a_key_file_that_others_can_read_is_warned_of(folder: Path) -> None:
    """A key file open to others is used, and Python prints the command that mends it."""
    (folder / "secret.key").chmod(0o644)
    with pytest.warns(KeyFileWarning, match=r"chmod 600 secret\.key") as given:
        assert parse_connection_spec("h:kf=secret.key")["key"] == KEY

    assert given[0].filename == __file__


def test_a_key_that_ssh_ignores_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A key in a spec for SSH is logged as useless, without it."""
    parse_connection_spec("u@h:key=s3cret")

    (warning,) = warnings_in(caplog)
    assert "SSH" in warning
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("spec", ["u@h", "h", "h:kf=secret.key"])
def test_nothing_to_warn_of(caplog: pytest.LogCaptureFixture, spec: str) -> None:
    """A common key beside SSH, and a private key file, are as things should be."""
    parse_connection_spec(spec, default_key=DEFAULT_KEY)

    assert caplog.records == []


def test_no_warnings(caplog: pytest.LogCaptureFixture, folder: Path) -> None:
    """With warn=False nothing is logged."""
    (folder / "secret.key").chmod(0o644)
    for spec in ("h:key=s3cret", "h:kf=secret.key", "u@h:key=s3cret"):
        parse_connection_spec(spec, warn=False)

    assert caplog.records == []


def test_user_of_a_domain() -> None:
    """A user name may have a domain before it, as everywhere else."""
    for spec in ("LAB\\you@h", "h:ssh=yes:user=LAB\\you"):
        assert parse_connection_spec(spec)["user"] == "LAB\\you"
    for user in ("LAB\\", "\\you"):
        with pytest.raises(SpecError, match="nothing on one side of the backslash"):
            parse_connection_spec(f"{user}@h")
    for user in ("LAB\\\\you", "LAB\\you\\", "a\\b\\c", "LAB\\$you"):
        with pytest.raises(SpecError, match="the user name contains"):
            parse_connection_spec(f"{user}@h")


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is the home folder in the name of a key file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_key_file("~/mine.key", key := generate_key())

    assert parse_connection_spec("h:kf=~/mine.key")["key"] == key
