"""From a folder per host to what it holds: each file is recognised, read and taken apart."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path

from underlay.errors import BadInput, Spot
from underlay.fleet.document import MAX_BYTES, Document, mapping, read_json, read_yaml, word
from underlay.fleet.formats import (
    cloud_config,
    cni,
    compose,
    compose_files,
    docker,
    ifupdown,
    ignition,
    inspected,
    ip_commands,
    netplan,
    networkd,
    networkmanager,
    nspawn,
    quadlet,
    script,
)
from underlay.fleet.formats.ini import read_ini
from underlay.fleet.host import Container, Fixed, Host, Link, Network
from underlay.fleet.kinds import is_meant, kind_of
from underlay.lab.text import shown
from underlay.plan.naming import nic_and_tag

# Folders of a host's own file system, or of its programs' configuration: no host is called so.
OF_A_HOST = frozenset(
    {
        "boot", "cni", "conf.d", "containers", "etc", "home", "interfaces.d", "lib", "manifests",
        "net.d", "netplan", "network", "networks", "NetworkManager", "nspawn", "opt", "root", "run",
        "srv", "system-connections", "systemd", "usr", "var",
    }
)  # fmt: skip
# All of /etc is some 2000 files.
MAX_FILES = 4000
# var/lib/machines/NAME/etc/systemd/network is the deepest that is read.
MAX_DEPTH = 8


def _plain(document: Document) -> None:
    """Leave the text as it is: its own format takes it apart."""


# How a document of each kind is read before it is taken apart.
_READ: dict[str, Callable[[Document], None]] = {
    **dict.fromkeys(("cni", "docker", "podman", "ignition", "inspect"), read_json),
    **dict.fromkeys(("compose", "netplan", "cloud_config", "attachment"), read_yaml),
    **dict.fromkeys(
        ("networkd", "networkd_dropin"), lambda document: read_ini(document, "networkd-syntax")
    ),
    "quadlet": lambda document: read_ini(document, "quadlet-syntax"),
    "nspawn": lambda document: read_ini(document, "nspawn-syntax"),
    nspawn.INSIDE: lambda document: read_ini(document, "networkd-syntax"),
    "keyfile": lambda document: read_ini(document, "keyfile-syntax"),
    "ifupdown": _plain,
    "script": script.read_script,
}


def read_hosts(pairs: list[str], *, inside: bool = False) -> tuple[Host, ...]:
    """Return what ``NAME=DIR`` for each host leads to; DIR may be a file, too.

    With ``inside`` no symbolic link is followed that leads out of its host's folder. Raises
    BadInput for a pair that isn't one, a host named twice, and a folder that isn't there or
    holds nothing that this reads.
    """
    hosts: dict[str, Host] = {}
    for pair in pairs:
        name, equals, folder = pair.partition("=")
        if not equals or not name or not folder:
            raise BadInput(f"{pair!r} is no NAME=DIR", hint="--host core-01=etc/one")
        if name in hosts:
            raise BadInput(f"the host {name} is named twice", hint="--host once per host")
        hosts[name] = read_host(name, Path(folder).expanduser(), inside=inside)
    return tuple(hosts.values())


def host_pairs(folder: str) -> list[str]:
    """Return NAME=DIR for a host's folder, or for each host's in a folder of such.

    A folder holds hosts' folders where it has no file of its own that this reads, where none of
    its folders is called as a part of a host's file system is, and where one of them holds
    something. A host is called as its folder.
    """
    path = Path(folder).expanduser()
    inside = sorted(one for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    names = {one.name for one in (*inside, path.resolve())}
    units = any(name.endswith(".d") for name in names)
    if not (names & OF_A_HOST or units or _holds(path, 0)) and any(
        _holds(one, MAX_DEPTH) for one in inside
    ):
        return [f"{one.name}={folder.rstrip('/')}/{one.name}" for one in inside]
    return [f"{path.resolve().name or 'host'}={folder}"]


def hosts_inside(folder: str) -> list[str]:
    """Return the folders in ``folder`` that are hosts' own, by what is in them.

    Where there are several, ``folder`` itself is hardly that of one host.
    """
    path = Path(folder).expanduser()
    inside = sorted(one for one in path.iterdir() if one.is_dir() and one.name[0] != ".")
    if {one.name for one in inside} & OF_A_HOST:
        return []
    return [one.name for one in inside if _is_of_a_host(one)]


def _is_of_a_host(folder: Path) -> bool:
    try:
        return any(one.name in OF_A_HOST and one.is_dir() for one in folder.iterdir())
    except OSError:
        return False


def _holds(folder: Path, depth: int) -> bool:
    """Whether a file in ``folder``, or so many folders further down, is one that this reads."""
    for path in _files(folder):
        if len(_below(path, folder)) > depth + 1:
            continue
        document = Document(shown(path), "")
        document.text = _text(path, document) or ""
        if kind_of(document) if document.text else is_meant(document):
            return True
    return False


def read_host(name: str, folder: Path, *, inside: bool = False) -> Host:
    """Return what the files under ``folder`` say about the host called ``name``.

    With ``inside`` a symbolic link that leads out of the folder is not read, and named.
    """
    if not folder.exists():
        raise BadInput(
            f"{folder} is not there", hint=f"{name}=DIR names a host's folder, DIR being there"
        )
    within = folder.resolve() if inside else None
    return host_of(name, str(folder), (_from_disk(path, folder, within) for path in _files(folder)))


def host_of(name: str, folder: str, files: Iterable[tuple[Document, bool]]) -> Host:
    """Return what ``files`` say about the host called ``name``; they are what ``folder`` holds.

    Each comes with whether its text could be read. Raises BadInput where they say nothing that
    this reads.
    """
    reading = _Reading(name)
    every = list(files)
    for document, readable in every:
        if readable:
            reading.files.add(document)
    for document, readable in every:
        reading.file(document, readable=readable)
    if not reading.documents:
        seen = f" ({', '.join(reading.ignored[:4])})" if reading.ignored else ""
        raise BadInput(
            f"{folder} holds no configuration of container networks{seen}",
            hint="it takes net.d files, user-data, network-config, netplan's, networkd's,"
            " NetworkManager's and ifupdown's files, Compose files, Quadlet's units, .nspawn files,"
            " Ignition,"
            " and Docker's and podman's networks as JSON",
        )
    return reading.host()


def _from_disk(path: Path, folder: Path, within: Path | None) -> tuple[Document, bool]:
    """Return one file of a host's, where it lies ``within`` a folder if one is given."""
    inner = "/".join(_below(path, folder)) or path.name
    document = Document(shown(path), "", within=inner)
    text = _text(path, document) if _lies_in(path, within, document) else None
    document.text = text or ""
    return document, text is not None


def stored(file: str, within: str, content: bytes, mode: int) -> tuple[Document, bool]:
    """Return a file that isn't on the disk as it is read here; messages call it ``file``.

    ``within`` is its path in the host's folder.
    """
    document = Document(file, "", within=within, mode=mode, mode_spot=Spot(file))
    text = _decoded(content, document)
    document.text = text or ""
    return document, text is not None


def linked(file: str, within: str) -> tuple[Document, bool]:
    """Return a symbolic link that isn't on the disk, and so isn't followed."""
    document = Document(file, "", within=within)
    message = "is a symbolic link, which isn't followed in a revision"
    document.report("file-unreadable", Spot(file), message, "put the file itself in its place")
    return document, False


@dataclass
class _Reading:
    """What has been read of one host so far."""

    name: str
    documents: list[Document] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    fixed: list[Fixed] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    hostname: tuple[str, Spot] | None = None
    passed_over: list[tuple[str, Spot]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    environment: dict[str, Document] = field(default_factory=dict)
    files: compose_files.Files = field(default_factory=compose_files.Files)

    def file(self, document: Document, *, readable: bool) -> None:
        """Take one file of the host."""
        if not readable:
            if is_meant(document):
                self.documents.append(document)
            else:
                self.ignored.append(document.file)
            return
        if document.name == ".env":
            self.environment[document.folder] = document
            return
        document.kind = kind_of(document) or ("compose" if self.files.names(document) else "")
        if document.kind:
            self.take(document)
        else:
            self.ignored.append(document.file)
            if not document.text.strip():
                self.empty.append(document.file)
            self.pass_over(document, Spot(document.file, 1, 1))

    def pass_over(self, document: Document, spot: Spot) -> None:
        """Note a file that its folder's own program doesn't read."""
        if is_meant(document):
            self.passed_over.append((document.target or document.file, spot))

    def take(self, document: Document) -> None:
        """Take a document of a known kind apart."""
        if document.data is None and not document.reports:
            _READ[document.kind](document)
        self.documents.append(document)
        getattr(self, f"_{document.kind}")(document)

    def _cni(self, document: Document) -> None:
        network = cni.network_of(self.name, document)
        if network is not None:
            self.networks.append(network)
            self.fixed += cni.fixed_of(network)

    def _docker(self, document: Document) -> None:
        self.networks += docker.api_networks(self.name, document)
        self.containers += inspected.seen_in_network(self.name, document)

    def _inspect(self, document: Document) -> None:
        self.containers += inspected.inspected(self.name, document)

    def _script(self, document: Document) -> None:
        self.networks += script.script_networks(self.name, document)
        started = list(script.script_containers(self.name, document))
        self.containers += started
        self.fixed += script.script_fixed(started)
        self.links += ip_commands.script_links(self.name, document)

    def _podman(self, document: Document) -> None:
        self.networks += docker.podman_networks(self.name, document)
        self.containers += inspected.seen_in_network(self.name, document)

    def _compose(self, document: Document) -> None:
        role = self.files.role(document)
        document.part = bool(role)
        document.taken_by = self.files.starter(document) if role == "included" else None
        environment = self.environment.get(document.folder)
        if environment is not None and environment not in self.documents:
            self.documents.append(environment)
        if role == "variant":
            base = self.files.base_of(compose_files.path_of(document)).rpartition("/")[2]
            message = f"docker compose takes {base} of this folder, and this one where told to"
            document.report("compose-variant", document.spot(), message, "COMPOSE_FILE in .env")
        if role in ("part", "variant"):
            document.kind = "compose_part"
            return
        compose_files.assemble(document, self.files, environment)
        known = compose.environment(environment)
        profiles = frozenset(known.get("COMPOSE_PROFILES", "").replace(",", " ").split())
        project = docker.project_of(document, known)
        self.networks += docker.compose_networks(self.name, document, project)
        self.fixed += docker.compose_fixed(self.name, document)
        self.containers += docker.compose_containers(self.name, document, profiles)

    def _quadlet(self, document: Document) -> None:
        if document.name.endswith(".network"):
            self.networks.append(quadlet.quadlet_network(self.name, document))
        self.fixed += quadlet.quadlet_fixed(self.name, document)
        container = quadlet.quadlet_container(self.name, document)
        if container is not None:
            self.containers.append(container)

    def _networkd(self, document: Document) -> None:
        link = networkd.networkd_link(self.name, document)
        if link is not None:
            self.links.append(link)

    def _nspawn(self, document: Document) -> None:
        """A container's file is taken apart when all of the host's and the container's are read."""

    def _machine(self, document: Document) -> None:
        """A unit inside of a container is that one's: see ``_nspawn``."""

    def _networkd_dropin(self, document: Document) -> None:
        """A drop-in only adds to a file that is read by itself."""

    def _keyfile(self, document: Document) -> None:
        link = networkmanager.keyfile_link(self.name, document)
        if link is not None:
            self.links.append(link)

    def _ifupdown(self, document: Document) -> None:
        self.links += ifupdown.ifupdown_links(self.name, document)

    def _netplan(self, document: Document) -> None:
        self.links += netplan.netplan_links(self.name, document)

    def _cloud_config(self, document: Document) -> None:
        cloud_config.check_header(document)
        name = word(mapping(document.data).get("hostname"))
        if name:
            self.hostname = (name, document.spot(("hostname",)))
        # Of two entries for one path cloud-init leaves the last.
        self._inside({inner.target: inner for inner in cloud_config.written_files(document)})
        commands = cloud_config.commands(document)
        if commands is not None and script.makes_any(commands.text):
            commands.kind = "script"
            self.take(commands)

    def _attachment(self, document: Document) -> None:
        inner = cloud_config.attached(document)
        if inner is not None:
            self.take(inner)

    def _ignition(self, document: Document) -> None:
        self._inside({inner.target: inner for inner in ignition.written_files(document)})

    def _inside(self, written: dict[str, Document]) -> None:
        """Take the files apart that another file puts on the host."""
        for inner in written.values():
            self.files.add(inner)
        for inner in written.values():
            inner.kind = kind_of(inner)
            if inner.kind and inner.kind not in ("cloud_config", "ignition"):
                self.take(inner)
            elif not inner.kind:
                self.pass_over(inner, inner.at(1))

    def _unsaid_parents(self, links: list[Link]) -> Iterator[Link]:
        """Yield the parents of networks where scripts alone tell of interfaces.

        Scripts make a few interfaces more, and say nothing of the host's others.
        """
        scripts = {document.file for document in self.documents if document.kind == "script"}
        if not links or any(link.spot.file not in scripts for link in links):
            return
        known = {link.name for link in links}
        for network in self.networks:
            base, _ = nic_and_tag(network.parent, ())
            if network.parent and not known & {network.parent, base}:
                known.add(base)
                yield Link(self.name, base, network.spot("master"))

    def host(self) -> Host:
        """Return all of it, without what stands there twice because a render holds both."""
        self.ignored += [env.file for env in self.environment.values() if env not in self.documents]
        vlans = networkd.wanted_vlans(
            [document for document in self.documents if document.kind == "networkd"]
        )
        links = [changed(link, lower=link.lower or vlans.get(link.name, "")) for link in self.links]
        links += self._unsaid_parents(links)
        kept = _unique(self.documents)
        inside = nspawn.found_in(
            self.name,
            [document for document in kept if document.kind == "nspawn"],
            [document for document in kept if document.kind == nspawn.INSIDE],
            links,
        )
        self.networks += inside.networks
        self.fixed += inside.fixed
        self.containers += inside.containers
        resting = quadlet.unstarted(kept)
        self.containers = [
            changed(one, idle=quadlet.idle(one.document))
            if any(one.document is document for document in resting)
            else one
            for one in self.containers
        ]
        started = [one for one in self.containers if any(one.document is d for d in kept)]
        started = inspected.together(started)
        self.fixed += inspected.fixed_of(started)
        return Host(
            name=self.name,
            documents=tuple(kept),
            networks=tuple(n for n in self.networks if any(n.document is d for d in kept)),
            links=tuple(links),
            fixed=tuple(dict.fromkeys(self.fixed)),
            ignored=tuple(sorted(self.ignored)),
            hostname=self.hostname,
            passed_over=tuple(self.passed_over),
            containers=tuple(started),
            empty=frozenset(self.empty),
        )


def _unique(documents: list[Document]) -> list[Document]:
    """Leave out copies: a rendered folder holds a net.d file and the user-data that writes it."""
    kept: dict[tuple[str, str], Document] = {}
    for document in documents:
        if not document.text or document.kind in ("cloud_config", "nspawn", nspawn.INSIDE):
            key = (document.file, document.target)
        else:
            key = (document.name, document.text.strip())
        other = kept.setdefault(key, document)
        # The copy in user-data knows where it belongs on the host.
        other.target = other.target or document.target
    return list(kept.values())


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files under ``folder`` in order; links to elsewhere are not followed."""
    if not folder.is_dir():
        yield folder
        return
    count = 0
    for base, folders, names in os.walk(folder):
        folders.sort()
        here = Path(base)
        if len(_below(here, folder)) >= MAX_DEPTH:
            folders.clear()
        for name in sorted(names):
            count += 1
            if count > MAX_FILES:
                raise BadInput(
                    f"{folder} holds more than {MAX_FILES} files",
                    hint="name the folder with the host's network configuration alone",
                )
            yield here / name


def _below(path: Path, folder: Path) -> tuple[str, ...]:
    """Return the names that lead from ``folder`` to ``path``, which lies in it."""
    return path.parts[len(folder.parts) :]


def _lies_in(path: Path, folder: Path | None, document: Document) -> bool:
    """Whether a file lies in ``folder``, wherever links lead; report the one that doesn't."""
    if folder is None or not path.is_symlink():
        return True
    try:
        if path.resolve(strict=True).is_relative_to(folder):
            return True
    except (OSError, RuntimeError):
        pass
    spot = Spot(document.file)
    message = "is a symbolic link that leads out of the host's folder, or nowhere"
    document.report("file-elsewhere", spot, message, "put the file itself in its place")
    return False


def _text(path: Path, document: Document) -> str | None:
    """Return a file's text; report what keeps it from being read, and return None then."""
    spot = Spot(document.file)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            document.report("file-unreadable", spot, "is no regular file", "leave it out")
            return None
        document.mode = stat.S_IMODE(status.st_mode)
        document.mode_spot = spot
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {(error.strerror or '?').lower()}"
        document.report("file-unreadable", spot, message, "make it readable, or leave it out")
        return None
    return _decoded(content, document)


def _decoded(content: bytes, document: Document) -> str | None:
    """Return the text of what a file holds; report what keeps it from being text."""
    spot = Spot(document.file)
    if len(content) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES >> 10} KiB"
        document.report("file-too-large", spot, message, "leave it out of the folder")
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"holds the byte 0x{content[error.start]:02x}, which isn't UTF-8"
        document.report("file-not-text", Spot(document.file, line, 1), message, "save it as UTF-8")
        return None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        spot = Spot(document.file, line, 1)
        document.report("file-not-text", spot, "holds a NUL byte", "save it as text")
        return None
    return text
