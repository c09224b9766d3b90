"""``--install`` and ``--uninstall``, with services that are files; tests/integration/test_systemd.py has real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from easycluster_protocol.keys import generate_key, read_key_file, write_key_file
from easycluster_server._command_line import main
from easycluster_server._standalone.config.file import read_config_file
from helpers.fake_service import FakeService


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file of the user."""
    path = tmp_path / "mine.key"
    write_key_file(path, generate_key())
    return path


def settings(place: Path) -> dict[str, object]:
    """The settings of the installed service."""
    return dict(read_config_file(str(place / "etc" / "server.ini")).given)


def test_installing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A first installation makes a key, and a service that logs no calls; again changes nothing."""
    assert main(["--install", "-p", "12000", "-a", "192.0.2.0/24"]) == 0
    key = read_key_file(place / "etc" / "server.key")
    said = capsys.readouterr().out

    assert settings(place) == {
        "keyfile": [str(place / "etc" / "server.key")],
        "port": 12000,
        "allow": ["192.0.2.0/24"],
        "class": "QuietServer",
        "verbose": 1,
    }
    assert "it starts on the next boot; to start it now: easycluster --start" in said
    assert "log: less log" in said
    assert key.hex() not in said
    assert main(["-i"]) == 0
    assert "everything is installed so already" in capsys.readouterr().out
    assert read_key_file(place / "etc" / "server.key") == key


def test_installing_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """New settings go over those of the file, of which the rest stays as it was written."""
    main(["--install", "-p", "12000", "-c", "Server"])
    path = place / "etc" / "server.ini"
    path.write_text(path.read_text().replace("port = 12000", "# mine\nport = 12000"))
    key = read_key_file(place / "etc" / "server.key")
    (place / "running").touch()
    capsys.readouterr()

    assert main(["--install", "-b", "::1", "-O"]) == 0
    assert settings(place)["port"] == 12000
    assert settings(place)["bind"] == ["::1"]
    assert settings(place)["class"] == "Server"
    assert "# mine\nport = 12000" in path.read_text()
    assert read_key_file(place / "etc" / "server.key") != key
    assert "it runs with its old settings" in capsys.readouterr().out


def test_installing_and_starting(place: Path) -> None:
    """With `--start` it runs at once, and is started again if something was changed."""
    assert main(["--install", "--start"]) == 0
    assert (place / "running").read_text() == "again\n"
    (place / "running").write_text("running\n")
    assert main(["--install", "--start"]) == 0
    assert (place / "running").read_text() == "running\n"


@pytest.mark.parametrize("given", ["-k", "-K"])
def test_given_key(place: Path, key_file: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that is given is copied to where the service reads it."""
    key = read_key_file(key_file)

    assert main(["--install", given, str(key_file) if given == "-k" else key.hex()]) == 0
    assert read_key_file(place / "etc" / "server.key") == key
    assert "keyfile = server.key\n" in (place / "etc" / "server.ini").read_text()
    assert key.hex() not in capsys.readouterr().out + (place / "etc" / "server.ini").read_text()


def test_paths_of_the_command_line(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is given starts where the user is, and not where the service is."""
    monkeypatch.chdir(tmp_path)
    main(["--install", "--log", "server.log"])

    assert settings(place)["log"] == str(tmp_path / "server.log")


@pytest.mark.parametrize("words", ["--install --start -p 12000", "--uninstall"])
def test_dry_run(place: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says what would be done, and does none of it."""
    assert main([*words.split(), "--dry-run"]) == 0
    said = capsys.readouterr().out

    assert said.startswith("# fake, a service of the machine; tested here\n")
    assert ("port = 12000" in said) == ("12000" in words)
    assert "server.ini" in said
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--install -d", "--daemonize is not for --install: the system runs a service in the background"),
        ("--install --dry-run --system=vms", "--system: there is no 'vms'; there are systemd"),
        ("--install -p x", "-p: x is not a TCP port"),
        ("--uninstall -p 5", "-p is not for -u, which takes no settings"),
        ("--install --config x.ini", "--config is not for -i, but for -S and --check"),
        ("-S --dry-run", "--dry-run is not for -S, but for -i and -u and --start and --stop"),
        ("--start --stop", "--start and --stop exclude each other"),
    ],
)
def test_wrong_command_lines(
    place: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What makes no sense is an error of usage, and nothing is done."""
    assert main(words.split()) == 2
    assert capsys.readouterr().err.startswith(f"easycluster: {message}")
    assert list(place.iterdir()) == []


def test_problem(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system cannot do is said before anything is done; a dry run shows it all the same."""
    monkeypatch.setattr(FakeService, "problem", "there is no user 'ann'")

    assert main(["--install"]) == 2
    assert capsys.readouterr().err == "easycluster: there is no user 'ann'\n"
    assert list(place.iterdir()) == []
    assert main(["--install", "--dry-run"]) == 0
    assert "# without --dry-run this is refused: there is no user 'ann'\n" in capsys.readouterr().out


def test_dry_run_for_another_system(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run for another system says which options that system refuses on every machine."""
    for words, problem in (
        ("--system=windows --run-as nobody", "--run-as is not for services of Windows"),
        ("--system=smf --strict", "--strict is not for services of smf"),
        ("--system=launchd --restart-safe", "--restart-safe is not for services of launchd"),
    ):
        assert main(["--install", "--dry-run", *words.split()]) == 0
        assert f"# without --dry-run this is refused: {problem}\n" in capsys.readouterr().out
    assert main(["--install", "--dry-run", "--system=smf", "--service-user", "whoever-is-there"]) == 0
    assert "this is refused" not in capsys.readouterr().out


def test_bad_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with an error is not overwritten by installing again."""
    main(["--install"])
    path = place / "etc" / "server.ini"
    path.write_text("[server]\nprt = 5\n")

    assert main(["--install", "-p", "5"]) == 2
    assert f"{path}: [server] has no key 'prt'" in capsys.readouterr().err
    assert path.read_text() == "[server]\nprt = 5\n"


def test_uninstalling(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key stays, and folders that are not empty; both are said. Again does nothing."""
    main(["--install", "--start"])
    (place / "home").mkdir()
    capsys.readouterr()

    assert main(["-u"]) == 0
    said = capsys.readouterr().out
    assert f"left: the key, {place / 'etc' / 'server.key'}" in said
    assert f"left: {place / 'home'}, which is not empty" in said
    assert [path for path in place.rglob("*") if path.is_file()] == [place / "etc" / "server.key"]
    assert main(["-u"]) == 0
    assert "nothing was installed" in capsys.readouterr().out


def test_without_permission(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who may not write is told who may, and what to do instead."""

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "/etc/easycluster")

    monkeypatch.setattr("os.makedirs", refuse)

    assert main(["--install"]) == 1
    assert "'/etc/easycluster'; be root (sudo), or add --user" in capsys.readouterr().err
