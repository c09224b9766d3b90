"""The manifest of SMF. There is no Solaris here: it is read back, and compared with the order that its DTD asks for."""

from __future__ import annotations

import shlex
from xml.etree import ElementTree as ET

import pytest

from easycluster_server._standalone.config.settings import Settings
from easycluster_server._standalone.services import smf
from easycluster_server._standalone.services.smf import SmfService, make_manifest

PROGRAM = ("/opt/a & b/%p/python", "-m", "easycluster")

#: Of service_bundle.dtd.1: the elements of a service, in their order.
ORDER = (
    "create_default_instance",
    "single_instance",
    "restarter",
    "dependency",
    "dependent",
    "method_context",
    "exec_method",
    "property_group",
    "instance",
    "stability",
    "template",
)


def read_manifest(**settings: str) -> ET.Element:
    """The manifest as it is written, read back."""
    (file,) = SmfService(PROGRAM).files(Settings(settings))
    return ET.fromstring(file.content)


def flatten(element: ET.Element) -> list[tuple[str, dict[str, str], str]]:
    """All that an element says, without the spaces between its elements."""
    return [(each.tag, each.attrib, (each.text or "").strip()) for each in element.iter()]


def test_written_and_read() -> None:
    """What is written is read back as the manifest, with its elements in the order of the DTD."""
    service = SmfService(PROGRAM)
    made = make_manifest(service.serve_command, "bob", f"file://localhost{service.config_path}")

    read = read_manifest(service_user="bob")

    attribute = "{http://www.w3.org/XML/1998/namespace}lang"
    assert [
        (tag, {name.replace(attribute, "xml:lang"): value for name, value in attributes.items()}, text)
        for tag, attributes, text in flatten(read)
    ] == flatten(made)
    tags = [each.tag for each in read[0]]
    assert tags == sorted(tags, key=ORDER.index)


def test_methods() -> None:
    """It starts what serves, each word as it was, and is ended by a signal to all its processes."""
    start, stop = read_manifest().iter("exec_method")

    assert tuple(shlex.split(start.get("exec", "").replace("%%", "%"))) == SmfService(PROGRAM).serve_command
    assert stop.get("exec") == ":kill"
    assert [each.get("user") for each in read_manifest().iter("method_credential")] == ["easycluster"]


def test_next_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installing starts nothing: the service is disabled for the time until the next boot, unless it runs."""
    steps = [step.describe() for step in SmfService(PROGRAM).enable()]
    assert steps.index("run: svcadm disable -t svc:/application/easycluster:default") < steps.index(
        "run: svccfg -s svc:/application/easycluster:default setprop general/enabled=true"
    )

    ran: list[tuple[str, ...]] = []

    def run_command(command: tuple[str, ...]) -> tuple[int, str]:
        ran.append(command)
        return 0, "online"

    monkeypatch.setattr(smf, "run_command", run_command)
    monkeypatch.setattr("easycluster_server._standalone.services.steps.run_command", run_command)
    for step in SmfService(PROGRAM).enable():
        step.perform()
    assert not [command for command in ran if "disable" in command]


@pytest.mark.parametrize(("state", "runs"), [("online", True), ("maintenance", False), ("disabled", False)])
def test_running(state: str, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs if svcs says that it is online."""
    monkeypatch.setattr(smf, "run_command", lambda command: (0, state))

    assert SmfService(PROGRAM).is_running() is runs
