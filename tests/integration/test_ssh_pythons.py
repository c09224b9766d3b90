"""Every Python that a host may have, behind a real sshd."""

from __future__ import annotations

import pytest

from easycluster import define_common
from helpers.exercises import DEFINITIONS, assert_works
from helpers.logins import Host, make_host, serve_logins
from helpers.pythons import every_python

pytestmark = pytest.mark.needs_sshd

sshd_of_logins = pytest.fixture(scope="module")(serve_logins)
host = pytest.fixture(make_host)


@every_python()
def test_works_under_every_python(host: Host, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, exceptions, definitions, large values, threads and the end are the same under each Python."""
    define_common(DEFINITIONS)
    host.use_python(version)
    with host.connect() as client:
        assert client.version() == version
        assert_works(client)
        with pytest.raises(Exception, match="on purpose") as caught:
            client.fail("on purpose")

    assert not client.connected
    assert type(caught.value).__name__ == "Broken"
    printed = capsys.readouterr().err
    assert "    raise Broken(text)  # a line to be seen\n" in printed
    assert printed.endswith("Broken: on purpose\n")


@every_python()
def test_process_that_is_to_be_replaced(host: Host, version: str) -> None:
    """``os.exec*`` is refused under each Python, those without audit hooks, too."""
    host.use_python(version)
    with host.connect() as client:
        for name in ("os.execv", "os.execvp"):
            with pytest.raises(PermissionError, match=r"subprocess\.run\(\)"):
                client.call(name, "/bin/true", ["true"], origexc="quiet")

        assert client.eval("6 * 7") == 42
