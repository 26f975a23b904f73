"""Rules about shell scripts that start containers: what is read of a command as it stands."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.fleet.formats.script import unread_addresses
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import Hosts, rule


@rule("script-address-unread", "warning", "docker-run(1), podman-run(1): --ip")
def script_address_unread(hosts: Hosts) -> Iterator[Hit]:
    """An address that is known only when its script runs can't be held against any other."""
    for host in hosts:
        for document in host.documents if host.containers else ():
            for line, owner, option in unread_addresses(document):
                message = f"{option} of {owner} is no address as it stands"
                cure = "write the address, or a variable that the script sets to one"
                yield Hit(document.at(line), message, cure)
