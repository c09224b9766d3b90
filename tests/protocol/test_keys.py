from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from easycluster_protocol import keys
from easycluster_protocol.errors import KeyFileError
from easycluster_protocol.keys import (
    KEY_SIZE,
    MAX_KEY_FILE,
    check_key,
    decode_key,
    decode_key_quietly,
    generate_key,
    is_text,
    read_key_file,
    write_key_file,
)
from easycluster_server._system.key_files import find_danger

KEY = bytes(range(KEY_SIZE))
OTHER_KEY = bytes(reversed(KEY))


def everything_said(error: BaseException) -> str:
    """All texts that an error, its causes and its contexts can show."""
    said = ""
    link: BaseException | None = error
    while link is not None:
        said += "{} {!r} {!r}\n".format(link, link, getattr(link, "__dict__", None))
        link = link.__cause__ or link.__context__
    return said


def mode_of(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder: Path) -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.iterdir())


# Text.


def test_generated_keys_differ() -> None:
    """Every generated key has the size of a key and is another one."""
    generated = {generate_key() for _ in range(100)}

    assert len(generated) == 100
    assert {len(key) for key in generated} == {KEY_SIZE}


@pytest.mark.parametrize(
    "text", [KEY.hex(), KEY.hex().upper(), " \t" + KEY.hex() + "\r\n", KEY.hex().encode()]
)
def test_64_hexadecimal_digits_are_the_key(text: Any) -> None:
    """64 hexadecimal digits are the key itself: in either case, as str or bytes, with whitespace around."""
    assert decode_key(text) == KEY


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("s3cret", "ec8a618b20b06485a24d5d9197a17cadcd7fd01b4eb70b037f7b7f8768dfa517"),
        (b"\xe9", "6397e1a43c55a38e0b31a1a231838c6221072713a4a6db7acd06e530745119c4"),
    ],
)
def test_other_text_is_stretched(text: Any, key: str) -> None:
    """A text gives the key that other versions and other programs (openssl kdf PBKDF2) make of it."""
    assert decode_key(text).hex() == key


@pytest.mark.parametrize(
    "text", ["00" * 16, "00" * 31, "0" * 63, "0" * 65, "0" * 62 + "zz", "00 " * 32, "é", "key"]
)
def test_what_is_not_64_digits_is_text(text: str) -> None:
    """Fewer or more digits, the 32 of a published key file among them, are stretched like any text."""
    key = decode_key(text)

    assert len(key) == KEY_SIZE
    assert key not in (bytes(KEY_SIZE), text.encode())


def test_str_and_bytes_give_the_same_key() -> None:
    """A password typed on the command line and the same one in a file are the same key."""
    assert decode_key("pässwörd") == decode_key(" pässwörd\n".encode())


def test_bytes_of_a_command_line_that_are_no_utf8() -> None:
    """Bytes that Python could not decode on the command line are the same key as in bytes."""
    assert decode_key(os.fsdecode(b"p\xe4ss")) == decode_key(b"p\xe4ss")


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", b"", b" \n"])
def test_blank_text_gives_no_key(text: Any) -> None:
    """A blank text gives a blank key, which is refused where it is used."""
    assert decode_key(text) == b""
    with pytest.raises(KeyFileError):
        check_key(decode_key(text), "h")


def test_text_that_cannot_be_encoded() -> None:
    """A lone surrogate raises a `KeyFileError` that does not have the text in it."""
    with pytest.raises(KeyFileError, match="cannot be encoded; `easycluster -g FILE`") as caught:
        decode_key("s3cret\ud800")

    assert "s3cret" not in everything_said(caught.value)


@pytest.mark.parametrize("text", [None, 12, ["key"]])
def test_only_text_is_decoded(text: Any) -> None:
    """Neither None nor a number is the text of a key."""
    with pytest.raises(TypeError):
        decode_key(text)


@pytest.mark.parametrize("text", ["abc", " 1234\n", b"abc"])
def test_short_text(text: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A text that is soon guessed makes a key, and a warning in which it is not."""
    assert decode_key(text) == decode_key_quietly(text)

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("easycluster.spec", "WARNING")
    assert record.getMessage() == (
        "a key of fewer than 6 characters is easily guessed; `easycluster -g FILE` makes a good one"
    )


@pytest.mark.parametrize("text", ["s3cret", KEY.hex(), "00" * 16, "", " ", bytes(range(224, 256))])
def test_text_that_is_long_enough(text: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Other texts, keys and no key at all make no warning."""
    decode_key(text)

    assert caplog.records == []


def test_short_text_in_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The text in a key file may be too short, too."""
    (tmp_path / "key").write_text("abc\n")
    read_key_file(tmp_path / "key")

    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_generated_key_as_a_text() -> None:
    """A key that `generate_key` has made is itself, and is not taken for a text that has 32 bytes."""
    key = b"\xff" + generate_key()[1:]

    assert decode_key(key) == key
    assert not is_text(key)


@pytest.mark.parametrize("text", [b"0123456789abcdef" * 2, b"this text has 31 letters a-z 0-9\n"[-32:]])
def test_text_of_the_size_of_a_key(text: bytes) -> None:
    """A text of 32 bytes is stretched like any other."""
    assert len(text) == KEY_SIZE
    assert is_text(text)
    assert decode_key(text) == decode_key(text.decode()) != text


# Checking.


def test_a_key_of_the_right_size_passes() -> None:
    """The keys that `generate_key` and `decode_key` return can be used."""
    check_key(KEY, "somewhere")
    check_key(decode_key("s3cret"), "somewhere")


@pytest.mark.parametrize(
    ("key", "fragment"),
    [
        (b"", "needs a key"),
        (None, "needs a key"),
        (b"0123456789abcdef", "has 16 bytes, not 32"),
        (KEY + KEY, "has 64 bytes, not 32"),
        (KEY.hex(), "is str, not bytes"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(key: Any, fragment: str) -> None:
    """The message says what is wrong, for which place, how to name a key, and not the key."""
    with pytest.raises(KeyFileError, match=fragment) as caught:
        check_key(key, "connection spec 'host1:9999'")

    message = str(caught.value)
    assert "connection spec 'host1:9999'" in message
    for option in ("-k FILE", "-K KEY", "kf=", "key="):
        assert option in message
    if key:
        assert str(key) not in everything_said(caught.value)


# Reading.


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """A key file holds one line of 64 digits, and reading it gives the key."""
    path = tmp_path / "x.key"

    assert write_key_file(path, KEY) is True

    assert path.read_bytes() == KEY.hex().encode() + b"\n"
    assert read_key_file(path) == KEY


def test_paths_of_any_kind(tmp_path: Path) -> None:
    """A path may be a Path, a str or bytes."""
    path = tmp_path / "x.key"
    write_key_file(os.fsencode(path), KEY)

    assert read_key_file(os.fsencode(path)) == read_key_file(str(path)) == read_key_file(path) == KEY


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"s3cret", "s3cret"),
        (b"  s3cret\r\n\r\n", "s3cret"),
        (b"\n s3cret \n# of the lab, 2019\n", "s3cret"),
        (b"\xef\xbb\xbfs3cret\r\n", "s3cret"),
        ("pässwörd\n".encode(), "pässwörd"),
        (b"60ebdb00c37f24fc4e0a1cf703b39500\n", "60ebdb00c37f24fc4e0a1cf703b39500"),
        (b"x" * MAX_KEY_FILE, "x" * MAX_KEY_FILE),
    ],
)
def test_a_file_may_hold_any_text(tmp_path: Path, content: bytes, text: str) -> None:
    """A password written with any editor, and a published key file, give the key of their text."""
    path = tmp_path / "x.key"
    path.write_bytes(content)

    assert read_key_file(path) == decode_key(text)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "is blank"),
        (b" \r\n\t", "is blank"),
        (b"\xef\xbb\xbf\r\n", "is blank"),
        (b"s3cret" + b"x" * MAX_KEY_FILE, "more than 4096 bytes"),
        (b"s3cret\xff", "not text"),
        ("s3cret".encode("utf-16"), "not text"),
        ("s3cret".encode("utf-16-le"), "not text"),
        (b"s3cret\0", "not text"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes, fragment: str) -> None:
    """A file that is not a key file is refused by its name, without showing its content."""
    path = tmp_path / "x.key"
    path.write_bytes(content)

    with pytest.raises(KeyFileError, match=fragment) as caught:
        read_key_file(path)

    assert str(path) in str(caught.value)
    assert "s3cret" not in everything_said(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing file is the error that `open` raises, which names it."""
    path = tmp_path / "none.key"

    with pytest.raises(FileNotFoundError, match=r"none\.key"):
        read_key_file(path)


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    """A folder is the error that `open` raises."""
    with pytest.raises(OSError, match=tmp_path.name):
        read_key_file(tmp_path)


@pytest.mark.parametrize(
    ("path", "fragment"), [("", "blank"), ("a\0b", "cannot be"), ("\ud800", "cannot be")]
)
def test_paths_that_no_file_can_have(path: str, fragment: str) -> None:
    """A path that the system could not even look up raises a `KeyFileError`."""
    for use in (read_key_file, find_danger, lambda path: write_key_file(path, KEY)):
        with pytest.raises(KeyFileError, match=fragment):
            use(path)


def test_a_pipe_is_read_to_its_end() -> None:
    """A key may come through a pipe, as a shell's ``<(command)`` makes one, in several pieces."""
    reading, writing = os.pipe()
    try:
        os.write(writing, KEY.hex().encode()[:10])
        os.write(writing, KEY.hex().encode()[10:])
        os.close(writing)

        assert read_key_file(f"/dev/fd/{reading}") == KEY
    finally:
        os.close(reading)


# Writing.


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Without overwriting, a file that exists stays as it is."""
    path = tmp_path / "x.key"
    path.write_bytes(b"precious")

    assert write_key_file(path, KEY) is False

    assert path.read_bytes() == b"precious"
    assert names_in(tmp_path) == ["x.key"]


def test_overwriting(tmp_path: Path) -> None:
    """Overwriting replaces a file that exists, makes one that does not, and leaves nothing else behind."""
    path = tmp_path / "x.key"

    assert write_key_file(path, KEY, overwrite=True) is True
    assert write_key_file(path, OTHER_KEY, overwrite=True) is True

    assert read_key_file(path) == OTHER_KEY
    assert names_in(tmp_path) == ["x.key"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_a_key_file_is_private(tmp_path: Path, overwrite: bool, umask: int) -> None:
    """Its owner can read and write the new file, and nobody else, whatever the umask."""
    path = tmp_path / "x.key"
    before = os.umask(umask)
    try:
        write_key_file(path, KEY, overwrite)
    finally:
        os.umask(before)

    assert mode_of(path) == 0o600
    assert find_danger(path) is None


def test_a_system_without_fchmod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mode of an open file cannot be set, as on older Windows, the file is written all the same."""
    monkeypatch.delattr(os, "fchmod")
    path = tmp_path / "x.key"

    assert write_key_file(path, KEY) is True

    assert mode_of(path) == 0o600
    assert read_key_file(path) == KEY


def test_overwriting_does_not_inherit_permissions(tmp_path: Path) -> None:
    """A key never goes into a file that others may have open."""
    path = tmp_path / "x.key"
    path.write_bytes(b"old")
    path.chmod(0o666)

    with open(path, "rb") as opened_by_others:
        write_key_file(path, KEY, overwrite=True)

        assert opened_by_others.read() == b"old"
    assert mode_of(path) == 0o600


@pytest.mark.parametrize("target_exists", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_planted_link_is_not_followed(tmp_path: Path, target_exists: bool, overwrite: bool) -> None:
    """A symbolic link at the path counts as an existing file; overwriting replaces it, not its target."""
    target, path = tmp_path / "target", tmp_path / "x.key"
    if target_exists:
        target.write_bytes(b"precious")
    path.symlink_to(target)

    assert write_key_file(path, KEY, overwrite) is overwrite

    assert target.exists() is target_exists
    if target_exists:
        assert target.read_bytes() == b"precious"
    assert path.is_symlink() is not overwrite


def test_overwriting_is_never_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file is there until the new one is complete."""
    path = tmp_path / "x.key"
    write_key_file(path, KEY)
    seen = []

    def replace(source: str, target: str, _replace: Any = os.replace) -> None:
        seen.append(
            (read_key_file(target), read_key_file(source), mode_of(Path(source)), Path(source).parent)
        )
        _replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_key_file(path, OTHER_KEY, overwrite=True)

    assert seen == [(KEY, OTHER_KEY, 0o600, tmp_path)]


@pytest.mark.parametrize(("step", "overwrite"), [("fsync", False), ("fsync", True), ("replace", True)])
def test_failing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, overwrite: bool
) -> None:
    """When the disk is full, no half-written file remains, and an old file is as it was."""
    path = tmp_path / "x.key"
    if overwrite:
        write_key_file(path, KEY)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no space left"):
        write_key_file(path, OTHER_KEY, overwrite)

    assert names_in(tmp_path) == (["x.key"] if overwrite else [])
    if overwrite:
        assert read_key_file(path) == KEY


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_missing_folder_is_an_error(tmp_path: Path, overwrite: bool) -> None:
    """A folder that does not exist is not "the file exists"."""
    with pytest.raises(FileNotFoundError):
        write_key_file(tmp_path / "none" / "x.key", KEY, overwrite)


@pytest.mark.parametrize("key", [b"", b"s3cret", KEY + b"x"])
def test_only_keys_are_written(tmp_path: Path, key: bytes) -> None:
    """A key that no connection would accept is not written, even over an old key."""
    path = tmp_path / "x.key"

    with pytest.raises(KeyFileError, match="of 32") as caught:
        write_key_file(path, key, overwrite=True)

    assert "s3cret" not in everything_said(caught.value)
    assert names_in(tmp_path) == []


def test_key_and_path_in_each_others_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text in the place of the key is refused, and the bytes in the place of the path are not shown."""
    monkeypatch.chdir(tmp_path)
    swapped: Any = ("k" * 32).encode(), "x.key"
    with pytest.raises(KeyFileError) as caught:
        write_key_file(*swapped)

    assert str(caught.value) == "the key to be written is str, not bytes: write_key_file(path, key)"
    assert names_in(tmp_path) == []


def test_a_path_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is a file in the current folder, for overwriting too."""
    monkeypatch.chdir(tmp_path)
    write_key_file("x.key", KEY)
    write_key_file("x.key", OTHER_KEY, overwrite=True)

    assert read_key_file("x.key") == OTHER_KEY


# Anything.


@settings(deadline=None)
@example("0" * 64)
@example("\ud800")
@given(st.text(st.characters(), max_size=70))
def test_any_text_is_a_key_or_none_or_refused(text: str) -> None:
    """Any text is decoded to a key, to nothing if blank, or refused with `KeyFileError`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_stretch", lambda text: bytes(KEY_SIZE))
        try:
            key = decode_key(text)
        except KeyFileError:
            return

    assert len(key) == (KEY_SIZE if text.strip() else 0)


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_file_holds_a_key_or_is_refused(content: bytes) -> None:
    """Any content of a file is a key, or refused with `KeyFileError`."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keys, "_stretch", lambda text: bytes(KEY_SIZE))

            assert len(read_key_file(f"/dev/fd/{reading}")) == KEY_SIZE
    except KeyFileError:
        pass
    finally:
        os.close(reading)


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is the home folder, wherever a key file is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    key = generate_key()
    assert write_key_file("~/secret.key", key)

    assert read_key_file("~/secret.key") == read_key_file(tmp_path / "secret.key") == key
    assert find_danger(b"~/secret.key") is None
