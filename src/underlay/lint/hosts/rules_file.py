"""Rules about files as such: whether they can be read, and whether anybody reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from underlay.errors import Spot, did_you_mean, nearest
from underlay.fleet.carried.values import NO_LAB
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.cni import SUFFIXES, plugins
from underlay.fleet.host import Host
from underlay.lint.finding import Check, Hit, Rule, Severity
from underlay.lint.hosts.rule import NETWORKD, RULES, SPEC, WRITE_FILES, Hosts, repeated, rule
from underlay.lint.rules import RULES as LAB_RULES
from underlay.lint.silence import Comment, comments

JSON = "RFC 8259"
YAML = "YAML 1.2.2: https://yaml.org/spec/1.2.2/"
LIBCNI = "containernetworking/cni, libcni/conf.go"
USER_DATA = (
    "https://docs.cloud-init.io/en/latest/explanation/format.html; canonical/cloud-init#6114"
)


# What reading the files notes already, under these ids: the source and the reason of each.
READING = {
    "file-unreadable": (
        "open(2)",
        "What can't be read here can't be judged; neither can a runtime read it.",
    ),
    "file-too-large": (
        "network configuration takes some kilobytes",
        "A file of that size is something else, and is not read.",
    ),
    "file-not-text": (JSON, "JSON, YAML and systemd's files are UTF-8 text."),
    "json-syntax": (
        JSON,
        "The runtime can't load the file; containers start without this network, or not at all.",
    ),
    "json-duplicate-key": (
        "RFC 8259, section 4: names should be unique",
        "Readers keep the last of two equal keys without a word, and the first value is lost.",
    ),
    "json-too-deep": (
        "RFC 8259, section 9: a parser may limit the depth",
        "Nesting without end serves to exhaust whoever reads it.",
    ),
    "yaml-syntax": (
        YAML,
        "cloud-init, Compose and netplan each drop a file that isn't YAML as a whole.",
    ),
    "yaml-duplicate-key": (
        "YAML 1.2.2, section 3.2.1.1: keys are unique",
        "Of two equal keys one is lost; which one depends on the reader.",
    ),
    "yaml-bomb": (
        "the billion laughs attack: CWE-776",
        "Aliases of aliases fill the memory of whoever expands them.",
    ),
    "networkd-syntax": (
        "systemd.syntax(7)",
        "A line that can't be read is skipped, and networkd goes on without it.",
    ),
    "networkd-address": (
        NETWORKD,
        "An address that can't be read is skipped: the interface comes up without it.",
    ),
    "quadlet-syntax": (
        "podman-systemd.unit(5); systemd.syntax(7)",
        "A line that can't be read keeps podman's generator from making a service of the unit.",
    ),
    "nspawn-syntax": (
        "systemd.nspawn(5); systemd.syntax(7)",
        "A line that can't be read is skipped, and the container starts without what it says.",
    ),
    "keyfile-syntax": (
        "nm-settings-keyfile(5)",
        "NetworkManager loads no profile from a keyfile with a line that it can't read.",
    ),
    "compose-variable-unset": (
        "https://docs.docker.com/reference/compose-file/interpolation/",
        "Compose warns, puts nothing in the variable's place and goes on.",
    ),
    "compose-reference": (
        "https://docs.docker.com/reference/compose-file/include/; …/services/#extends",
        "A file that names one which isn't there is refused as a whole: no service starts.",
    ),
    "cloud-config-header": (
        USER_DATA,
        "cloud-init tells kinds of user-data by their first line; the host boots unconfigured.",
    ),
    "write-files-encoding": (
        WRITE_FILES,
        "The file that cloud-init writes is not the one that was meant.",
    ),
}


def _noted(id: str) -> Check[Hosts]:
    """Return the check that finds what was noted under ``id``."""

    def check(hosts: Hosts) -> Iterator[Hit]:
        for host in hosts:
            for document in host.documents:
                for report in document.reports:
                    if report.rule == id:
                        yield Hit(report.spot, report.message, report.cure)

    return check


# What is said beside the file may be set elsewhere.
MILD = ("compose-variable-unset",)

for _id, (_source, _reason) in READING.items():
    _severity: Severity = "warning" if _id in MILD else "error"
    RULES.append(Rule(_id, _severity, _reason, _source, RULES.page, _noted(_id)))


def _entries(hosts: Hosts) -> Iterator[tuple[Document, int, dict[str, object]]]:
    for host in hosts:
        for document in host.documents:
            if document.kind == "cloud_config":
                files = listed(mapping(document.data).get("write_files"))
                yield from ((document, i, mapping(entry)) for i, entry in enumerate(files))


def _comments(hosts: Hosts) -> Iterator[tuple[Document, Comment]]:
    for host in hosts:
        for document in host.documents:
            if not document.target:
                yield from ((document, comment) for comment in comments(document.text))


@rule("ignore-no-reason", "warning", "docs/verbs/lint.md")
def ignore_no_reason(hosts: Hosts) -> Iterator[Hit]:
    """A comment that silences a rule says why; without a reason it silences nothing."""
    for document, comment in _comments(hosts):
        if not comment.reason:
            cure = f"underlay: ignore {comment.rule}: because …"
            yield Hit(document.at(comment.line), f"no reason to ignore {comment.rule}", cure)


@rule("ignore-rule-unknown", "warning", "docs/verbs/lint.md")
def ignore_rule_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A comment that names a rule which isn't there silences nothing."""
    known = [*(one.id for one in RULES), *(one.id for one in LAB_RULES), NO_LAB]
    for document, comment in _comments(hosts):
        if comment.rule not in known:
            cure = did_you_mean(nearest(comment.rule, known)) or "docs/host-rules.md lists them"
            yield Hit(document.at(comment.line), f"there is no rule {comment.rule}", cure)


@rule("write-files-path", "error", WRITE_FILES)
def write_files_path(hosts: Hosts) -> Iterator[Hit]:
    """cloud-init writes relative paths wherever it happens to stand, and skips missing ones."""
    for document, i, entry in _entries(hosts):
        path = entry.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            key = "path" if "path" in entry else i
            place = ("write_files", i, key) if key == "path" else ("write_files", i)
            found = f"the path {path!r}" if "path" in entry else "no path"
            yield Hit(document.spot(place), f"found {found}", "write the whole path, from /")


@rule("write-files-permissions", "error", WRITE_FILES)
def write_files_permissions(hosts: Hosts) -> Iterator[Hit]:
    """Permissions are octal text: 644 without quotes is the decimal number, which is 01204."""
    for document, i, entry in _entries(hosts):
        place = ("write_files", i, "permissions")
        value = entry.get("permissions")
        if isinstance(value, int) and not isinstance(value, bool):
            mark = document.marks.mark(place)
            line = document.text.splitlines()[mark.line - 1][mark.column - 1 :]
            if not re.match(r"0o?[0-7]+\b", line):
                message = f"permissions {value} without quotes means mode {value:04o}"
                yield Hit(document.spot(place), message, f"permissions: '{value:04d}'")
        elif value is not None and not re.fullmatch(r"0?o?[0-7]{3,4}", str(value)):
            yield Hit(document.spot(place), f"{value!r} is no mode", "permissions: '0644'")


@rule("write-files-twice", "error", WRITE_FILES)
def write_files_twice(hosts: Hosts) -> Iterator[Hit]:
    """cloud-init writes entries in order: the last one for a path wins."""
    for host in hosts:
        first: dict[str, Spot] = {}
        for document, i, entry in _entries((host,)):
            path = word(entry.get("path"))
            spot = document.spot(("write_files", i, "path"))
            if path in first and not entry.get("append"):
                message = f"{path} is written a second time"
                yield Hit(spot, message, "keep one of them", (first[path],))
            elif path:
                first.setdefault(path, spot)


@rule("netd-not-read", "warning", LIBCNI)
def netd_not_read(hosts: Hosts) -> Iterator[Hit]:
    """CNI reads .conf, .conflist and .json; whatever else lies in net.d is passed over."""
    for host in hosts:
        folders = {d.file.rpartition("/")[0] for d in host.documents if d.kind == "cni"}
        for file in host.ignored:
            folder, _, name = file.rpartition("/")
            near = name.endswith((".bak", ".orig", ".yml", ".yaml", ".cfg", ".cni", ".disabled"))
            likely = near or ("conf" in name and "kubeconfig" not in name)
            if folder in folders and not name.endswith(SUFFIXES) and likely:
                cure = f"name it to end in one of {', '.join(SUFFIXES)}, or take it away"
                yield Hit(Spot(file), f"no runtime reads {name}", cure)


@rule("netd-conf-and-conflist", "warning", LIBCNI + "; cri-o, contrib/cni/README.md")
def netd_conf_and_conflist(hosts: Hosts) -> Iterator[Hit]:
    """By name libcni prefers the list, by order of files the .conf comes first."""
    for host in hosts:
        found = (d for d in host.documents if d.kind == "cni")
        stems = ((f"{d.folder}/{d.name.rpartition('.')[0]}", d) for d in found)
        for other, document in repeated(stems):
            message = f"{document.name} stands beside {other.name}: which one counts varies"
            yield Hit(document.spot(), message, "keep one of them", (other.spot(),))


@rule("netd-order", "warning", SPEC + "; runtimes sort net.d as text")
def netd_order(hosts: Hosts) -> Iterator[Hit]:
    """Names are sorted as text, so that 9- comes after 10-: the order is another than it looks."""
    for host in hosts:
        folders: dict[str, list[tuple[int, Document]]] = {}
        for document in (d for d in host.documents if d.kind == "cni"):
            digits = re.match(r"[0-9]{1,6}", document.name)
            if digits:
                folders.setdefault(document.folder, []).append((int(digits[0]), document))
        for numbered in folders.values():
            by_text = sorted(numbered, key=lambda pair: pair[1].name)
            for (low, before), (high, after) in pairwise(by_text):
                if low > high:
                    message = f"{after.name} comes after {before.name}, though {high} is less"
                    cure = f"write the numbers with equally many digits: {high:02d}"
                    yield Hit(after.spot(), message, cure, (before.spot(),))
                    break


# containerd's and CRI-O's own files, and those of what runs them.
_FIRST = re.compile(r"(^|/)(containerd|crio|cri-o|kubernetes|kubelet|k3s|rke2|k0s)(/|\.|$)")


def takes_first(host: Host) -> bool:
    """Whether the host's runtime takes the first file of net.d, so far as its files tell.

    rkt, podman and nerdctl ask for networks by name, and so does multus, which is
    itself the first file then.
    """
    paths = (*host.ignored, *(d.target or d.file for d in host.documents))
    folder = sorted((d for d in host.documents if d.kind == "cni"), key=lambda d: d.name)
    kinds = [plugin.get("type") for d in folder[:1] for _, plugin in plugins(d)]
    return any(map(_FIRST.search, paths)) and not {"multus", "multus-shim"} & set(map(str, kinds))


@rule(
    "netd-first-wins",
    "warning",
    "containerd, internal/cri: the first file in net.d; cri-o, contrib/cni",
)
def netd_first_wins(hosts: Hosts) -> Iterator[Hit]:
    """Both containerd and CRI-O take the first file of /etc/cni/net.d; the others lie idle."""
    for host in hosts:
        found = [d for d in host.documents if d.kind == "cni" and "/cni/net.d" in d.folder]
        ordered = sorted(found, key=lambda d: d.name) if takes_first(host) else []
        for document in ordered[1:]:
            message = f"{ordered[0].name} comes first in {document.folder}: {document.name} is idle"
            cure = "keep one file there, or name the network in the runtime's configuration"
            yield Hit(document.spot(), message, cure, (ordered[0].spot(),))
