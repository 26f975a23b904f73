"""Which files a Compose file is made of: those that it includes, extends, and is overridden by.

Files are looked for among those of the host's folder that are at hand, and nowhere else.
Sources: https://docs.docker.com/reference/compose-file/include/, …/services/#extends and
https://docs.docker.com/compose/how-tos/multiple-compose-files/merge/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from posixpath import dirname, join, normpath
from typing import Any

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document, listed, mapping, read_yaml, word
from underlay.fleet.formats import compose
from underlay.lab.text import LabText, Place

# What ``docker compose`` takes of a folder, the first that is there, and what it lays over that,
# again the first (compose-go, cli/options.go).
USUAL = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
LAID_OVER = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
VARIANT = re.compile(r"(docker-)?compose\.[^/]+\.ya?ml")
DEEPEST = 8
MISSING = "compose-reference"


@dataclass
class Files:
    """The files of a host by their paths, among them those that Compose files name."""

    known: dict[str, Document] = field(default_factory=dict)
    # What is taken in by another file: by ``include`` it is read as a file of its own as well.
    included: set[str] = field(default_factory=set)
    extended: set[str] = field(default_factory=set)
    # Which file includes one, by its path.
    includers: dict[str, str] = field(default_factory=dict)
    _looked: bool = False

    def add(self, document: Document) -> None:
        """Note a file of the host."""
        self.known[path_of(document)] = document
        self._looked = False

    def look(self) -> None:
        """Find out which files the Compose files among them take in."""
        if self._looked:
            return
        self._looked = True
        for path, document in list(self.known.items()):
            if path.endswith((".yml", ".yaml")) and re.search("include|extends", document.text):
                data = mapping(_fresh(document).data)
                for _, names in included(data):
                    found = [beside(path, name) for name in names]
                    self.included.update(found[:1])
                    self.includers |= dict.fromkeys(found[:1], path)
                    self.extended.update(found[1:])
                for _, file, _ in extended(data):
                    if file and beside(path, file) != path:
                        self.extended.add(beside(path, file))

    def names(self, document: Document) -> bool:
        """Whether a Compose file takes this one in, whatever its name and content."""
        self.look()
        path = path_of(document)
        return path in self.included or path in self.extended

    def starter(self, document: Document) -> Document | None:
        """Return the file that takes an included one in, and isn't included itself."""
        path, seen = path_of(document), set[str]()
        while path in self.includers and path not in seen:
            seen.add(path)
            path = self.includers[path]
        return self.known.get(path) if path not in seen else None

    def role(self, document: Document) -> str:
        """Return what a Compose file is beside others: ``included``, a ``part``, or itself.

        ``variant`` is one that ``docker compose`` takes only where it is told to.
        """
        self.look()
        path = path_of(document)
        if path in self.included:
            return "included"
        if path in self.extended or path in self.overriding(self.base_of(path)):
            return "part"
        base = self.base_of(path)
        chosen = self.chosen(path)
        if chosen and path not in chosen and VARIANT.fullmatch(document.name):
            return "variant"
        plain = not chosen and base and base != path
        named = VARIANT.fullmatch(document.name) or document.name in USUAL
        return "variant" if plain and named else ""

    def chosen(self, path: str) -> list[str]:
        """Return the files that the ``.env`` beside a file names by COMPOSE_FILE."""
        env = self.known.get(join(dirname(path), ".env"))
        said = compose.environment(env)
        names = said.get("COMPOSE_FILE", "").split(said.get("COMPOSE_PATH_SEPARATOR") or ":")
        return [beside(path, name) for name in names if name]

    def base_of(self, path: str) -> str:
        """Return the Compose file of a folder that counts without being named, or nothing."""
        chosen = self.chosen(path)
        usual = (join(dirname(path), name) for name in USUAL)
        return chosen[0] if chosen else next((one for one in usual if one in self.known), "")

    def overriding(self, base: str) -> list[str]:
        """Return the files that are laid over ``base``, in order."""
        chosen = self.chosen(base) if base else []
        if chosen:
            return chosen[1:] if chosen[0] == base else []
        folder, name = dirname(base), base.rpartition("/")[2]
        if name not in USUAL:
            return []
        over = (join(folder, name) for name in LAID_OVER)
        return [path for path in over if path in self.known][:1]


def path_of(document: Document) -> str:
    """Return where a file is among its host's."""
    return normpath((document.target or document.within or document.file).lstrip("/"))


def beside(path: str, name: str) -> str:
    """Return the path of what a file at ``path`` calls ``name``."""
    return normpath(join(dirname(path), name)).lstrip("/")


def included(data: dict[str, Any]) -> Iterator[tuple[Place, list[str]]]:
    """Yield what a Compose file includes, each with its place: a file, and what is laid over it."""
    for i, entry in enumerate(listed(data.get("include"))):
        paths = entry if isinstance(entry, str) else mapping(entry).get("path")
        names = [paths] if isinstance(paths, str) else [word(one) for one in listed(paths)]
        if any(names):
            yield ("include", i), names


def extended(data: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each service that extends one: its name, the file of that one if named, and which."""
    for service, body in mapping(data.get("services")).items():
        said = mapping(body).get("extends")
        if isinstance(said, str):
            yield service, "", said
        elif isinstance(said, dict):
            yield service, word(said.get("file")), word(said.get("service"))


def assemble(document: Document, files: Files, env: Document | None) -> None:
    """Make the ``data`` of a Compose file what Compose makes of it and of the files it names.

    What extends a service is filled in file by file, before a file is laid over another one
    (compose-go, loader.loadYamlFile). Files that aren't at hand are reported.
    """
    compose.interpolate(document, env)
    path = path_of(document)
    _extend(document, files, env)
    for other in files.overriding(path) if files.base_of(path) == path else ():
        if other in files.known:
            over = _fresh(files.known[other])
            compose.interpolate(over, env)
            _extend(over, files, env)
            document.data = merged(mapping(document.data), mapping(over.data))
        else:
            _lacks(document, (), f"COMPOSE_FILE names {other}")
    for place, names in included(mapping(document.data)):
        for name in names:
            if beside(path, name) not in files.known:
                _lacks(document, place, f"it includes {name}")


def _extend(document: Document, files: Files, env: Document | None) -> None:
    """Fill in what services of a file take over from those that they extend."""
    services = mapping(mapping(document.data).get("services"))
    near = dict(services)
    for _, names in included(mapping(document.data)):
        # Files are included before anything is extended.
        found = files.known.get(beside(path_of(document), names[0]))
        if found is not None and any(True for _ in extended(mapping(document.data))):
            other = _fresh(found)
            compose.interpolate(other, env)
            near = {**mapping(mapping(other.data).get("services")), **near}
    for service in list(services):
        services[service] = _whole(document, near, service, files, env, 0)


def _whole(
    document: Document,
    services: dict[str, Any],
    service: str,
    files: Files,
    env: Document | None,
    depth: int,
) -> Any:
    """Return a service with what it takes over from the one that it extends."""
    body = services.get(service)
    named = next((one for one in extended({"services": {service: body}})), None)
    if named is None or not isinstance(body, dict):
        return body
    _, file, base = named
    place: Place = ("services", service, "extends")
    other, known = document, services
    if file and beside(path_of(document), file) != path_of(document):
        found = files.known.get(beside(path_of(document), file))
        if found is None:
            _lacks(document, place, f"{service} extends {base or 'a service'} of {file}")
            return body
        other = _fresh(found)
        compose.interpolate(other, env)
        known = mapping(mapping(other.data).get("services"))
    if base not in known or depth >= DEEPEST or (other is document and base == service):
        where = f" of {file}" if file else ""
        near = nearest(base, [one for one in known if other is not document or one != service])
        _lacks(document, place, f"{service} extends the service {base!r}{where}", near)
        return body
    inner = _whole(other, known, base, files, env, depth + 1)
    if other is not document:
        document.reports += [replace(one, spot=document.spot(place)) for one in other.reports]
    own = {key: value for key, value in body.items() if key != "extends"}
    left = {key: value for key, value in mapping(inner).items() if key not in NOT_SHARED}
    return merged(left, own)


# What a service that extends another doesn't take over: it would name services of another file.
NOT_SHARED = ("depends_on", "links", "volumes_from", "extends")


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid over it, as Compose does: lists are joined."""
    found = dict(base)
    for key, laid in over.items():
        known, value = found.get(key), laid
        if key == "networks" and {type(known), type(value)} == {dict, list}:
            known, value = _as_mapping(known), _as_mapping(value)
        if isinstance(known, dict) and isinstance(value, dict):
            found[key] = merged(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            found[key] = [*known, *(one for one in value if one not in known)]
        elif value is not None or known is None:
            found[key] = value
    return found


def _as_mapping(networks: Any) -> dict[str, Any]:
    """Return a service's networks in the long form, in which each may have settings."""
    return dict.fromkeys(map(word, listed(networks))) if isinstance(networks, list) else networks


def _fresh(document: Document) -> Document:
    """Return a file as it is before anything was done about it."""
    again = replace(document, data=None, marks=LabText(document.file), reports=[])
    read_yaml(again)
    return again


def _lacks(document: Document, place: Place, what: str, near: str = "") -> None:
    cure = did_you_mean(near) or "put it into the host's folder, or mend the name"
    message = f"{what}, which isn't there: Compose refuses the file"
    document.report(MISSING, document.spot(place), message, cure)
