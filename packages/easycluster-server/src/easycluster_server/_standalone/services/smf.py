"""SMF, of Solaris and illumos: a manifest that has svc.startd run the server, and start it again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple

from .accounts import SOLARIS
from .steps import Run, Step, WriteFile, quote, run_command
from .unix import UnixService

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from easycluster_server._standalone.config.settings import Settings

_SERVICE = "application/easycluster"
_INSTANCE = f"svc:/{_SERVICE}:default"

_HEAD = """\
<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<!--
{note}-->
"""

#: What has to be online before: the local file systems, and the network.
_DEPENDENCIES = {
    "filesystem": "svc:/system/filesystem/local:default",
    "network": "svc:/milestone/network:default",
}


class SmfService(UnixService):
    """A service of SMF."""

    system = "smf"
    tested = "not tested on Solaris; its manifest is read back in the tests"
    accounts = SOLARIS
    log_path = "/var/svc/log/application-easycluster:default.log"

    path = "/var/svc/manifest/site/easycluster.xml"

    @classmethod
    def is_here(cls) -> bool:
        """Return whether svc.startd manages this machine."""
        return os.path.exists("/lib/svc/bin/svc.startd")

    def installed_files(self) -> List[str]:
        """Return the path of the manifest."""
        return [self.path]

    def files(self, settings: Settings) -> List[WriteFile]:
        """Return the manifest."""
        manifest = make_manifest(
            self.serve_command, self.find_user(settings), f"file://localhost{self.config_path}"
        )
        # Comments of XML cannot have two dashes.
        note = self.note("  ").replace("--install", "-i")
        return [WriteFile(self.path, _HEAD.format(note=note) + _format(manifest))]

    def enable(self) -> List[Step]:
        """Return the steps that make the service known, and have it start on the next boot."""
        # What is set for the time until the next boot goes before what is set for good.
        return [
            Run("svccfg", "import", self.path),
            Run("svcadm", "disable", "-t", _INSTANCE, unless=self.is_running),
            Run("svccfg", "-s", _INSTANCE, "setprop", "general/enabled=true"),
            Run("svcadm", "refresh", _INSTANCE),
        ]

    def unregister(self) -> List[Step]:
        """Return the steps that stop it and have it forgotten."""
        return [
            Run("svcadm", "disable", "-s", _INSTANCE, unless=_is_unknown),
            Run("svccfg", "delete", "-f", f"svc:/{_SERVICE}", unless=_is_unknown),
        ]

    def start(self, again: bool = False) -> List[Step]:
        """Return the steps that start it, or start it again."""
        enable = Run("svcadm", "enable", "-s", _INSTANCE, unless=self.is_running)
        return [*self.stop(), enable] if again else [enable]

    def stop(self) -> List[Step]:
        """Return the step that stops it until the next boot."""
        return [Run("svcadm", "disable", "-s", "-t", _INSTANCE, unless=lambda: not self.is_running())]

    def status_command(self) -> Tuple[str, ...]:
        """Return the question how it does."""
        return ("svcs", "-H", "-o", "state", _INSTANCE)

    def is_running(self) -> bool:
        """Return whether it runs."""
        return run_command(self.status_command()) == (0, "online")


def make_manifest(command: Sequence[str], user: str, config: str) -> ET.Element:
    """Return the manifest of the service.

    Args:
        command: what serves in the foreground.
        user: the user that the server runs as.
        config: the configuration file, as a ``file://`` address.
    """
    from xml.etree import ElementTree as ET

    bundle = ET.Element("service_bundle", type="manifest", name="easycluster")
    service = _add(bundle, "service", name=_SERVICE, type="service", version="1")
    # The order of these elements is fixed.
    _add(service, "create_default_instance", enabled="false")
    _add(service, "single_instance")
    for name, fmri in _DEPENDENCIES.items():
        _add_dependency(service, name, fmri, "service")
    _add_dependency(service, "config", config, "path")
    context = _add(service, "method_context", working_directory=":default")
    _add(context, "method_credential", user=user)
    start = _escape(quote(command))
    _add(service, "exec_method", type="method", name="start", exec=start, timeout_seconds="60")
    _add(service, "exec_method", type="method", name="stop", exec=":kill", timeout_seconds="10")
    # The process that start begins is the service itself.
    startd = _add(service, "property_group", name="startd", type="framework")
    _add(startd, "propval", name="duration", type="astring", value="child")
    _add(service, "stability", value="Unstable")
    common_name = _add(_add(service, "template"), "common_name")
    _add(common_name, "loctext", **{"xml:lang": "C"}).text = "EasyCluster server"
    return bundle


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    from xml.etree import ElementTree as ET

    return ET.SubElement(parent, tag, attributes)


def _add_dependency(service: ET.Element, name: str, fmri: str, kind: str) -> None:
    attributes: Dict[str, str] = {"grouping": "require_all", "restart_on": "none", "type": kind}
    _add(_add(service, "dependency", name=name, **attributes), "service_fmri", value=fmri)


def _escape(method: str) -> str:
    """Return a command line as SMF has it, which expands what begins with a %."""
    return method.replace("%", "%%")


def _format(element: ET.Element, indent: str = "") -> str:
    """Return the text of an element, with a line for each of those in it."""
    from xml.etree import ElementTree as ET

    if not len(element):
        return f"{indent}{ET.tostring(element, encoding='unicode')}\n"
    opening = ET.tostring(ET.Element(element.tag, element.attrib), encoding="unicode")
    inside = "".join(_format(child, f"{indent}  ") for child in element)
    return f"{indent}{opening.replace(' />', '>')}\n{inside}{indent}</{element.tag}>\n"


def _is_unknown() -> bool:
    return run_command(("svcs", "-H", "-o", "state", _INSTANCE))[0] != 0
