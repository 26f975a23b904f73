"""What a lab file's fleet leads to: hosts' files read, and the lab file's own keys laid over them.

Nothing is kept from one reading to the next, so that a change in a host's file changes the lab
at once. Each place of the lab knows the file and line that it stems from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from underlay.errors import BadInput, did_you_mean, nearest
from underlay.fleet.carried import Carried, carry
from underlay.fleet.carried.values import NoLab
from underlay.fleet.carried.wires import HINT, LONGEST, Port
from underlay.fleet.document import listed, mapping, word
from underlay.fleet.folder import read_host
from underlay.fleet.host import Host
from underlay.fleet.own import own_of
from underlay.lab.messages import schema_problems
from underlay.lab.nodes import Mark
from underlay.lab.own import NOTHING_OWN, Origin, Own
from underlay.lab.text import LabError, LabText, Place, Problem, quoted, shown
from underlay.lint.hosts import refused
from underlay.lint.silence import silent_in

# What reads a host: its name, and the path that the lab file has for it. It raises
# FileNotFoundError, with the names of what is there instead, where nothing is at that path.
Reader = Callable[[str, str], Host]
KEY = "fleet"
IN_LAB = "segments: {NAME: {nics: {HOST: NIC, HOST: NIC}}} says which NICs are on one wire"


@dataclass(frozen=True)
class Derived:
    """A lab's text with all that its fleet leads to, and the hosts that were read."""

    text: LabText
    own: Own = NOTHING_OWN
    hosts: tuple[Host, ...] = ()
    carried: Carried = field(default_factory=Carried)


class Nothing(Exception):
    """There is nothing to read for a host: why, and what may be meant instead."""

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        super().__init__(found)
        self.found, self.expected, self.hint = found, expected, hint


def derived(text: LabText, read: Reader) -> Derived:
    """Return the lab of ``text`` with what ``read`` finds of its fleet below its own keys.

    Raises LabError with what is wrong with the fleet: a host that can't be read, files that
    their own programs would refuse, and what leads to no lab.
    """
    if not isinstance(text.data, dict) or KEY not in text.data:
        return Derived(text)
    problems = [one for one in schema_problems(text) if _about_fleet(text, one)]
    if problems:
        raise LabError(problems, text.file)
    hosts = _hosts(text, read)
    carried = _carried(text, hosts)
    whole, moved = laid_over(text, carried)
    own = own_of(carried, hosts)
    starters = {
        (moved[position], node): path
        for (position, node), path in own.starters.items()
        if position in moved
    }
    origins = tuple(_over_origin(one, text) for one in own.origins)
    return Derived(whole, replace(own, starters=starters, origins=origins), hosts, carried)


# The keys of a lab file's network by which it says otherwise what a host's file says.
_KEYS = {"parent": ("segment", "parent", "master", "vlan"), "range": ("ranges", "subnet")}


def _over_origin(one: Origin, text: LabText) -> Origin:
    """Return where something is said: in the lab file, where that says it itself."""
    places: list[Place] = [("nodes", "interfaces", one.node, one.what)]
    if one.network:
        keys = _KEYS.get(one.what, (one.what,))
        places = [("networks", one.network, key) for key in keys]
    said = next((place for place in places if place in text.keys), None)
    return one if said is None else replace(one, spot=text.spot(said))


def on_disk(folder: Path) -> Reader:
    """Return what reads hosts whose paths count from ``folder``, and lie in it."""
    return partial(_read_on_disk, folder)


def _read_on_disk(folder: Path, name: str, path: str) -> Host:
    where = Path(os.path.normpath(folder / path))
    if not where.is_relative_to(os.path.normpath(folder)) or not _lies_in(where, folder):
        expected = f"a folder or file below {shown(folder)}, where the lab file is"
        raise Nothing(f"{quoted(path)}, which lies elsewhere", expected)
    if not where.exists():
        near = nearest(path, [str(Path(path).parent / one) for one in _beside(where)])
        expected = "a folder with the host's configuration, or a file of it"
        raise Nothing(f"{quoted(path)}, which isn't there", expected, did_you_mean(near))
    return read_host(name, Path(shown(where)), inside=True)


def _lies_in(where: Path, folder: Path) -> bool:
    return where.resolve().is_relative_to(folder.resolve())


def _beside(where: Path) -> list[str]:
    try:
        return sorted(path.name for path in where.parent.iterdir())
    except OSError:
        return []


def _about_fleet(text: LabText, problem: Problem) -> bool:
    """Whether the problem is about the fleet's own keys, before anything is read of it."""
    key = problem.where.partition(".")[0].partition("[")[0]
    return key in (KEY, "name") or ".nics" in problem.where


def _hosts(text: LabText, read: Reader) -> tuple[Host, ...]:
    hosts: list[Host] = []
    problems: list[Problem] = []
    for name, path in text.data[KEY].items():
        place = (KEY, name)
        try:
            hosts.append(read(name, path))
        except Nothing as nothing:
            what = (nothing.found, nothing.expected, nothing.hint)
            problems.append(text.problem(place, *what, id="fleet-host"))
        except BadInput as error:
            expected = "a host's configuration of container networks"
            found = f"{quoted(path)}, which holds {error.message.partition(' holds ')[2]}"
            problems.append(text.problem(place, found, expected, error.hint, id="fleet-host"))
    for one in refused(tuple(hosts)):
        where = (one.file, one.line, one.column, "")
        problems.append(Problem(*where, one.message, "", one.cure, one.id))
    if problems:
        raise LabError(problems, text.file)
    return tuple(hosts)


def _carried(text: LabText, hosts: Sequence[Host]) -> Carried:
    """Return what the hosts' files lead to, with the wiring that the lab file says."""
    stated = _stated(text, hosts)
    try:
        name = word(text.data.get("name"))
        return carry(hosts, stated, name, real=True, silent=silent_in(hosts))
    except NoLab as error:
        hint = "\n    ".join((*_unset(hosts), _in_lab(error.hint)))
        hint += f"\n    {_silencing(error)}" if error.other is not None else ""
        where = (error.spot.file, error.spot.line, error.spot.column, "")
        problem = Problem(*where, error.fact, "", hint, "fleet-lab")
    except BadInput as error:
        spot = text.spot((KEY,))
        where = (spot.file, spot.line, spot.column, KEY)
        problem = Problem(*where, error.message, "", _in_lab(error.hint), "fleet-lab")
    raise LabError([problem], text.file)


def _silencing(error: NoLab) -> str:
    """Say how what hosts contradict each other about may be as it is."""
    comment = f"# underlay: ignore {error.rules[0]}: REASON"
    return f"as wanted, by `{comment}` at one of the two lines: each is a network of its own then"


def _unset(hosts: Sequence[Host]) -> Iterator[str]:
    """Yield the variables of Compose files that nothing sets: what they leave out may be why."""
    for host in hosts:
        for report in (one for document in host.documents for one in document.reports):
            if report.rule == "compose-variable-unset":
                yield f"{report.spot}: {report.message}"


def _in_lab(hint: str) -> str:
    return hint.replace(HINT, IN_LAB).replace("\n", "\n    ")


def _stated(text: LabText, hosts: Sequence[Host]) -> dict[str, list[Port]]:
    """Return the NICs of each segment that the lab file names: by their names, or by its subnet.

    Raises LabError for a host or a NIC that isn't there.
    """
    found: dict[str, list[Port]] = {}
    problems: list[Problem] = []
    known = {host.name: host for host in hosts}
    for name, segment in mapping(text.data.get("segments")).items():
        nics = mapping(mapping(segment).get("nics"))
        for host, nic in nics.items():
            place = ("segments", name, "nics", host)
            if host not in known:
                hint = did_you_mean(nearest(host, known))
                expected = f"one of {', '.join(known)}"
                problems.append(
                    text.problem(place, f"the host {quoted(host)}", expected, hint, at_key=True)
                )
                continue
            names = [each for link in known[host].links for each in link.name.split()]
            if names and not any(link.fits(nic) for link in known[host].links):
                hint = did_you_mean(nearest(nic, names))
                expected = f"a NIC of {host}: {', '.join(dict.fromkeys(names))}"
                problems.append(text.problem(place, quoted(nic), expected, hint))
        ports = list(nics.items()) if nics else list(_by_subnet(mapping(segment), hosts))
        if ports:
            found[name] = ports
    if problems:
        raise LabError(problems, text.file)
    return found


def _by_subnet(segment: dict[str, Any], hosts: Sequence[Host]) -> Iterator[Port]:
    """Yield the NICs with an address in the segment's own subnet, the first of each host."""
    subnets = {word(segment.get(key)) for key in ("subnet", "subnet6")} - {""}
    for host in hosts:
        here = (
            link.name
            for link in host.links
            for interface, _ in link.addresses
            if link.vlan is None
            and not link.lower
            and interface.network.prefixlen <= LONGEST[interface.version]
            and str(interface.network) in subnets
        )
        nic = next(here, "")
        if nic:
            yield host.name, nic


@dataclass
class _Group:
    """A group of containers, and where it is in the lab file's list and in the files' one."""

    words: dict[str, Any]
    own: int | None = None
    base: int | None = None


def laid_over(text: LabText, carried: Carried) -> tuple[LabText, dict[int, int]]:
    """Return what ``carried`` says with the keys of ``text`` over it, by name.

    A mapping is laid over a mapping, and of containers a group over the one of its name, or of
    its networks if it has none. Anything else is as the lab file has it. What comes second is
    where the groups of ``carried`` are now.
    """
    made = LabText(text.file, problems=list(text.problems), content=text.content)
    base = deepcopy(carried.lab)
    names = base["nodes"]["names"]
    groups = _groups(base["containers"], text.data.get("containers"), names, carried.split)
    made.data = _over(base, text.data)
    nodes = text.data.get("nodes")
    if isinstance(nodes, dict) and {"count", "prefix"} & {*nodes}:
        made.data["nodes"] = nodes
    if groups is not None:
        made.data["containers"] = [group.words for group in groups]
    else:
        groups = []
    moved = {one.base: position for position, one in enumerate(groups) if one.base is not None}
    _Marking(made, text, carried, groups).mark(made.data, (), (), ())
    return made, moved


def _over(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return deepcopy(own)
    both = dict(base)
    for key, value in own.items():
        both[key] = _over(base[key], value) if key in base else deepcopy(value)
    return both


def _groups(
    base: list[dict[str, Any]], own: Any, nodes: list[str], split: dict[str, dict[str, str]]
) -> list[_Group] | None:
    """Return the groups of containers of both lists; None where the lab file has no list.

    A network of the lab file's groups is on each node the one that the node's files call so:
    ``split`` are those that are networks of their own.
    """
    if own is not None and not (isinstance(own, list) and all(isinstance(g, dict) for g in own)):
        return None
    found = [_Group(words, base=position) for position, words in enumerate(base)]
    added: list[_Group] = []
    every = enumerate(listed(own))
    for position, words in ((n, one) for n, group in every for one in _spread(group, split, nodes)):
        alike = [one for one in found if _is_one(one.words, words, nodes)]
        for one in alike:
            one.words, one.own = _over(one.words, words), position
        if not alike:
            added.append(_Group(deepcopy(words), own=position))
    named = {str(name) for group in added for name in listed(group.words.get("networks"))}
    kept = [
        one
        for one in found
        if "name" in one.words or one.own is not None or not named & {*one.words["networks"]}
    ]
    return [*kept, *added]


def _spread(
    words: dict[str, Any], split: dict[str, dict[str, str]], nodes: list[str]
) -> list[dict[str, Any]]:
    """Return a group of the lab file's as one for all nodes on which its networks are the same."""
    named = [str(name) for name in listed(words.get("networks"))]
    if not any(name in split for name in named) or "on" not in words:
        return [words]
    found: dict[tuple[str, ...], list[str]] = {}
    for node in (one for one in nodes if one in _on(words["on"], nodes)):
        networks = tuple(split.get(name, {}).get(node, name) for name in named)
        found.setdefault(networks, []).append(node)
    made = []
    for networks, on in found.items():
        # They are called after their network as the lab file has it, where they are several.
        several = len(on) > 1 or words.get("count", 1) != 1
        called = {"name": named[0]} if [*networks] != named and several else {}
        made.append({**called, **words, "on": on, "networks": [*networks]})
    return made


def _is_one(base: dict[str, Any], own: dict[str, Any], nodes: list[str]) -> bool:
    """Whether two groups of containers are one: by their name, or by their networks without any.

    Where the lab file says which nodes a group is on, these have to be the same.
    """
    if base.get("name") != own.get("name"):
        return False
    if "name" not in base and base["networks"] != own.get("networks"):
        return False
    return "on" not in own or _on(base["on"], nodes) == _on(own["on"], nodes)


def _on(said: object, nodes: list[str]) -> set[str]:
    if said == "all":
        return set(nodes)
    return {str(one) for one in (said if isinstance(said, list) else [said])}


@dataclass
class _Marking:
    """Notes of each place of a lab where it stands: in the lab file, or in a host's."""

    made: LabText
    text: LabText
    carried: Carried
    groups: list[_Group]

    def mark(self, value: Any, place: Place, own: Place | None, base: Place | None) -> None:
        """Note where ``place`` stands, and all below it.

        It is at ``own`` in the lab file's text, and at ``base`` in what the hosts' files lead to,
        where it is there.
        """
        if own is not None and own in self.text.values:
            self.made.values[place] = self.text.values[own]
            self.made.written[place] = own
            if own in self.text.keys:
                self.made.keys[place] = self.text.keys[own]
        else:
            own = None
            spot = (self.carried.origin(base) if base else None) or self.text.spot((KEY,))
            self.made.values[place] = self.made.keys[place] = Mark(spot.line, spot.column)
            self.made.elsewhere[place] = spot.file
        if isinstance(value, dict):
            for key, inner in value.items():
                self.mark(inner, (*place, key), _below(own, key), _below(base, key))
        elif isinstance(value, list):
            for position, inner in enumerate(value):
                mine: Place | None = _below(own, position)
                theirs: Place | None = _below(base, position)
                if place == ("containers",) and self.groups:
                    one = self.groups[position]
                    mine = None if one.own is None else ("containers", one.own)
                    theirs = None if one.base is None else ("containers", one.base)
                self.mark(inner, (*place, position), mine, theirs)


def _below(place: Place | None, step: str | int) -> Place | None:
    return None if place is None else (*place, step)
