from __future__ import annotations

import ipaddress
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from easycluster_client._connect import key_options
from easycluster_client._connect.spec import parse_connection_spec
from easycluster_protocol.errors import KeyFileError, SpecError

SECRET = "s3cret"

MALFORMED = [
    # Hosts.
    ("", "the host name is blank"),
    (":99", "the host name is blank"),
    (":key=x", "the host name is blank"),
    ("user@", "the host name is blank"),
    ("user@:99", "the host name is blank"),
    (" ", "the host name contains ' '"),
    (" host", "the host name contains ' '"),
    ("host ", "the host name contains ' '"),
    ("ho/st", "the host name contains '/'"),
    ("ho%st", "the host name contains '%'"),
    ("ho{st", "the host name contains '{'"),
    ("compress=1", "the host name contains '='"),
    ("-host", "the host name begins with '-'"),
    ("-oProxyCommand=x", "the host name begins with '-'"),
    ("user@-host", "the host name begins with '-'"),
    ("a..b", "blank or too long"),
    (".", "blank or too long"),
    (".example.com", "blank or too long"),
    ("a" * 64, "blank or too long"),
    (".".join(["a" * 50] * 6), "blank or too long"),
    (".".join(["a" * 62] * 3 + ["a" * 65]), "blank or too long"),
    (".".join(["a" * 63] * 3 + ["a" * 62]), "blank or too long"),  # 254 in all
    ("a." + "b" * 64 + ".", "blank or too long"),
    ("ü" * 63, "not an internationalized domain name"),
    # Signs that become ASCII ones when the name is looked up, or that look like them.
    ("exa\uff0fmple.com", "the host name contains '\uff0f'"),
    ("example。com", "the host name contains '。'"),
    ("ex℀mple", "the host name contains '℀'"),
    ("a\ufdfab", "the host name contains ' '"),
    ("a\u200bb", "the host name contains '\\u200b'"),
    ("a\u202eb", "the host name contains '\\u202e'"),
    ("a\ud800b", "the host name contains '\\ud800'"),
    # Users.
    ("@host", "the user name is blank"),
    ("-user@host", "the user name begins with '-'"),
    ("-oProxyCommand=x@host", "the user name begins with '-'"),
    ("us er@host", "the user name contains ' '"),
    ("us/er@host", "the user name contains '/'"),
    ("a@b@host", "more than one '@'"),
    ("@a@host", "more than one '@'"),
    ("host:user=", "the user name is blank"),
    ("host:user=-x", "the user name begins with '-'"),
    ("user@host:user=user", "the user is given twice"),
    # IPv6 addresses.
    ("::1", "must be in brackets, as in [::1]"),
    ("2001:db8::2", "must be in brackets, as in [2001:db8::2]"),
    ("user@2001:db8::2", "must be in brackets, as in [2001:db8::2]"),
    ("2001:db8::2:kf=x", "must be in brackets, as in [2001:db8::2]"),
    ("1:2:3:4:5:6:7:8", "must be in brackets, as in [1:2:3:4:5:6:7:8]"),
    ("fe80::1%eth0", "must be in brackets, as in [fe80::1]"),
    ("::ffff:192.0.2.1", "must be in brackets, as in [::ffff:192.0.2.1]"),
    ("[::1", "the '[' is never closed"),
    ("user@[::1", "the '[' is never closed"),
    ("[::1:kf=x", "the '[' is never closed"),
    ("[::1]9999", "only a ':' can follow the ']', not '9'"),
    ("[::1]xy", "only a ':' can follow the ']', not 'x'"),
    ("[::1]]:9999", "only a ':' can follow the ']'"),
    ("[]", "not an IPv6 address"),
    ("[host]", "not an IPv6 address"),
    ("[192.0.2.1]", "not an IPv6 address"),
    ("[::1%]", "not an IPv6 address"),
    ("[::1%a;b]", "not an IPv6 address"),
    ("[::1/64]", "not an IPv6 address"),
    ("[-oProxyCommand=x]", "not an IPv6 address"),
    ("host[::1]", "the host name contains '['"),
    ("::1]", "the host name is blank"),
    ("us[er@host", "the host name contains '['"),
    # Ports.
    ("host:", "'' after the host is neither a port nor an option"),
    ("host::compress=1", "'' after the host is neither a port nor an option"),
    ("host:ssh", "'ssh' after the host is neither a port nor an option"),
    ("host:0", "port 0 is not between 1 and 65535"),
    ("host:65536", "port 65536 is not between 1 and 65535"),
    ("host:" + "9" * 5000, "is not between 1 and 65535"),
    ("host:-1", "neither a port"),
    ("host:+80", "neither a port"),
    ("host: 80", "neither a port"),
    ("host:80 ", "neither a port"),
    ("host:8_0", "neither a port"),
    ("host:0x50", "neither a port"),
    ("host:\uff18\uff10", "neither a port"),
    ("[::1]:http", "neither a port"),
    # Options.
    ("host:9999:9998", "malformed option '9998'"),
    ("host:9999:", "malformed option ''"),
    ("host:99::compress=1", "malformed option ''"),
    ("host:compress=1:9999", "malformed option '9999'"),
    ("host:compress=1:ssh", "malformed option 'ssh'"),
    ("host:kf=a:b", "malformed option 'b'"),
    ("host:kf=x.key:", "malformed option ''"),
    ("host:kf=C:x.key", "malformed option 'x.key'"),
    ("u@h:extra=-L 8080:localhost:80", "malformed option 'localhost'"),
    (
        "host:foo=1",
        "unknown option 'foo'; there are compress, connect_timeout, extra, keep_alive_interval, keep_alive_timeout, key, keyfile, kf, rpython, ssh, tls, tls_ca, tls_cert, tls_key, trust, user (",
    ),
    ("host:COMPRESS=1", "unknown option 'COMPRESS'"),
    ("host: compress=1", "unknown option ' compress'"),
    ("host:=1", "unknown option ''"),
    ("host:port=22", "unknown option 'port'"),
    ("host:compress=1:compress=1", "option 'compress' is given twice"),
    ("host:compress=1:compress=0", "option 'compress' is given twice"),
    ("host:kf=a:keyfile=b", "option 'keyfile' is given twice"),
    ("host:keyfile=a:kf=b", "option 'kf' is given twice"),
    ("host:compress=", "option 'compress' must be yes or no"),
    ("host:compress=2", "option 'compress' must be yes or no"),
    ("host:compress=zlib", "option 'compress' must be yes or no"),
    ("host:kf=", "option 'kf' has no value"),
    ("host:rpython=", "option 'rpython' has no value"),
    ("host:ssh=", "option 'ssh' has no value"),
    ("host:ssh=-v", "option 'ssh' must be yes, no or the path"),
    ("host:extra='a", "in option 'extra' a quote is never closed"),
    ('host:extra="a:compress=1', "in option 'extra' a quote is never closed"),
    ("host:extra=a\\", "in option 'extra' a quote is never closed"),
]


def shown(spec: str) -> str:
    """The spec as a message quotes it when there is nothing to hide."""
    return f"'{spec}'" if spec.isprintable() else ascii(spec)


def test_longest_host_name() -> None:
    """A name of 253 characters is the longest that can be looked up; a dot at its end is no further part."""
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])

    assert len(longest) == 253
    assert parse_connection_spec(longest)["host"] == longest
    assert parse_connection_spec("a.b.")["host"] == "a.b."


@pytest.mark.parametrize(("spec", "fragment"), MALFORMED, ids=[ascii(spec)[:60] for spec, _ in MALFORMED])
def test_malformed_specs(spec: str, fragment: str) -> None:
    """A spec that cannot be used is a ValueError that quotes it and says what is wrong."""
    with pytest.raises(SpecError) as caught:
        parse_connection_spec(spec)

    message = str(caught.value)
    assert fragment in message
    if "key=" not in spec:
        assert f"connection spec {shown(spec)}" in message
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("sign", list("`$();|&<>\\\"'*?!{}~^,\t "))
@pytest.mark.parametrize("spec", ["ho{}st", "user@ho{}st", "us{}{}er@host", "host:ssh=yes:user=us{}{}er"])
def test_shell_signs(spec: str, sign: str) -> None:
    """Nothing that a shell would interpret can stand in a host or user."""
    with pytest.raises(SpecError, match=r"contains"):
        parse_connection_spec(spec.replace("{}", sign))


@pytest.mark.parametrize("sign", ["\0", "\n", "\r", "\x1b", "\x7f", "\x85"])
@pytest.mark.parametrize(
    "spec", ["ho{}st", "us{}er@h", "h:kf=x{}", "h:99{}", "h:ssh={}", "h{}", "{}h", "u@h:extra={}"]
)
def test_control_characters(spec: str, sign: str) -> None:
    """A control character is refused wherever it stands, and quoted so that no terminal obeys it."""
    with pytest.raises(SpecError, match="control character") as caught:
        parse_connection_spec(spec.replace("{}", sign))

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("spec", [None, b"host", 12, ["host"], ("host", 11999), Path("host")])
def test_specs_that_are_no_text(spec: Any) -> None:
    """What is not a str is a SpecError that says so."""
    with pytest.raises(SpecError, match=type(spec).__name__):
        parse_connection_spec(spec)


@pytest.mark.parametrize("spec", ["host:a b=1", "host:=1", "host:1=2", "host:é=1"])
def test_names_that_are_none(spec: str) -> None:
    """Though a script takes any option, its name must be one."""
    with pytest.raises(SpecError, match="malformed option"):
        parse_connection_spec(spec, custom_options=True)


# What messages hide.

HIDDEN = [
    ("h:0:key=s3cret", "'h:0:key=***'"),
    ("h:key=s3cret:compress=maybe", "'h:key=***:compress=maybe'"),
    ("h:compress=maybe:key=s3cret", "'h:compress=maybe:key=***'"),
    ("h:key=a:s3cret", "'h:key=***'"),
    ("h:key=a:s3cret:compress=1", "'h:key=***:compress=1'"),
    ("h:key=a:b=s3cret", "'h:key=***'"),
    ("h:key=a:9999", "'h:key=***'"),
    ("h:key=s3cret:key=s3cret", "'h:key=***:key=***'"),
    ("h:key=s3cret:kf=x.key", "'h:key=***:kf=x.key'"),
    ("h:Key=s3cret", "'h:Key=***'"),
    ("h:keys=s3cret", "'h:keys=***'"),
    ("h:password=s3cret", "'h:password=***'"),
    ("h: key=s3cret", "'h: key=***'"),
    ("h::key=s3cret", "'h::key=***'"),
    ("key=s3cret", "'key=***'"),
    ("user@key=s3cret", "'user@key=***'"),
    ("[::1:key=s3cret", "'[::1:key=***'"),
    ("::1:key=s3cret", "'::1:key=***'"),
    ("h:key=s3cret\n", "'h:key=***'"),
    ("h\n:key=s3cret", r"'h\n:key=***'"),
    ("user:s3cret@host", "'user:***@host'"),
    ("user:s3:cret@host:99", "'user:***@host:99'"),
    ("h:key=\ud800s3cret", None),
]


@pytest.mark.parametrize(("spec", "quoted"), HIDDEN, ids=[ascii(spec) for spec, _ in HIDDEN])
def test_secrets_are_not_quoted(spec: str, quoted: str | None) -> None:
    """No message, and nothing that the exception carries, has the key, a part of it, or a password."""
    with pytest.raises((SpecError, KeyFileError)) as caught:
        parse_connection_spec(spec)

    if quoted is not None:
        assert f"connection spec {quoted}" in str(caught.value)
    link: BaseException | None = caught.value
    while link is not None:
        assert "s3cret" not in f"{link} {link!r}"
        assert "cret@" not in f"{link} {link!r}"
        link = link.__cause__ or link.__context__


def test_custom_secrets_are_not_quoted() -> None:
    """A script's own option with a name like a secret's is hidden too, as far as the next option."""
    with pytest.raises(SpecError, match=r"'h:api_token=\*\*\*:colour=red:oops=1'"):
        parse_connection_spec(
            "h:api_token=s3cret:x:colour=red:oops=1", custom_options=["api_token", "colour"]
        )


# Anything.

TEXTS = st.text(st.characters(), max_size=40)
SIGNS = [*":@[]=%-.\\'\" ", "::1", "[::1]", "host", "user", "C:\\", "é", "99", "yes", "0", "no.key"]
OPTIONS = ["kf=", "keyfile=", "key=", "compress=", "ssh=", "user=", "rpython=", "extra=", "foo="]
NEARLY = st.lists(st.sampled_from(SIGNS + OPTIONS), max_size=12).map("".join)
CUSTOM = st.sampled_from([(), ["foo"], True])


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("h:key=\ud800", ())
@given(TEXTS | NEARLY, CUSTOM)
def test_any_text_is_a_spec_or_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spec: str, custom: Any
) -> None:
    """Any text is a spec whose parts are safe, or refused with a documented exception that can be shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(key_options, "decode_key", lambda text: bytes(32))
    message = ""
    try:
        result: Any = parse_connection_spec(spec, custom_options=custom)
    except SpecError as error:
        message = str(error)
    except (KeyFileError, OSError):
        assert "kf=" in spec or "keyfile=" in spec
        return

    assert message.isprintable()
    if message:
        return
    params, _ = result if custom else (result, {})
    assert not params["host"].startswith("-")
    if ":" in params["host"]:
        ipaddress.IPv6Address(params["host"].partition("%")[0])
    for name in filter(None, (params["host"], params["user"])):
        assert name[0] != "-"
        assert name.isprintable()
        assert not set(name) & set("`$();|&<>\\\"'*?! /")
    assert params["port"] is None or 1 <= params["port"] <= 65535
    assert isinstance(params["ssh"], (bool, str))
    assert params["ssh"] != ""


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS | NEARLY, TEXTS | NEARLY, CUSTOM)
def test_no_text_around_a_key_makes_it_show(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    before: str,
    after: str,
    custom: Any,
) -> None:
    """Whatever stands around a key, neither a message nor the log has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(key_options, "decode_key", lambda text: bytes(32))
    caplog.set_level(logging.DEBUG)
    message = ""
    try:
        parse_connection_spec(f"{before}:key={SECRET}{after}", custom_options=custom)
    except (SpecError, KeyFileError, OSError) as error:
        message = str(error)

    assert SECRET not in message
    assert SECRET not in caplog.text


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
HOSTS = NAMES | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: f"[{address}]")
VALUES = st.from_regex(r"[^:\[\]\x00-\x1f\x7f-\x9f]{0,10}", fullmatch=True)


@given(
    user=st.none() | NAMES,
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    options=st.dictionaries(st.sampled_from(["a", "b", "c_d"]), VALUES),
)
def test_what_was_put_together_is_taken_apart(
    user: str | None, host: str, port: int | None, options: dict[str, str]
) -> None:
    """A spec made of good parts gives those parts."""
    spec = (f"{user}@" if user else "") + host + (f":{port}" if port else "")
    spec += "".join(f":{name}={value}" for name, value in options.items())

    params, custom = parse_connection_spec(spec, custom_options=True)

    assert (params["user"], params["host"]) == (user, host.strip("[]"))
    assert params["port"] == (port or (None if user else 11999))
    assert params["ssh"] is (user is not None)
    assert custom == options
