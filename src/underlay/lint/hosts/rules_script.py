"""Rules about shell scripts that start containers: what is read of a command as it stands."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.fleet.formats.script import unread_addresses, unread_makers
from underlay.fleet.formats.shell import NO_DO
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import Hosts, rule

# So much of a loop's head is told.
SHOWN = 60


@rule("script-loop-unread", "error", "sh(1): Compound Commands")
def script_loop_unread(hosts: Hosts) -> Iterator[Hit]:
    """What a loop makes can be told without running it where its words are literal alone."""
    for host in hosts:
        for document in host.documents:
            for loop in unread_makers(document):
                head = loop.head if len(loop.head) <= SHOWN else f"{loop.head[:SHOWN]}…"
                message = f"`{head}` makes networks, containers or interfaces, and {loop.why}"
                cure = "loop over words as they are, `seq` with numbers, or {1..3} in bash"
                if loop.why == NO_DO:
                    cure = "a semicolon or a new line, and then `do`: for NAME in WORDS; do"
                yield Hit(document.at(loop.line), message, cure)


@rule("script-address-unread", "warning", "docker-run(1), podman-run(1): --ip")
def script_address_unread(hosts: Hosts) -> Iterator[Hit]:
    """An address that is known only when its script runs can't be held against any other."""
    for host in hosts:
        for document in host.documents if host.containers else ():
            for line, owner, option in unread_addresses(document):
                message = f"{option} of {owner} is no address as it stands"
                cure = "write the address, or a variable that the script sets to one"
                yield Hit(document.at(line), message, cure)
