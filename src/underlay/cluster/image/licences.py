"""What an image consists of, package by package, under which licences.

Debian keeps each package's licences in ``/usr/share/doc/PACKAGE/copyright``, which the
image holds for all of its packages. debugfs reads them out of the file system without
root. A few parts come from packages of the machine that built the image: these are
recorded during the build.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay import __version__
from underlay.cluster.process import run
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 120.0
DOCUMENTS = Path("/usr/share/doc")
# Parts of the image that no package in it owns, by the package that they were taken from.
BUILT_FROM = {
    "user-mode-linux": "the kernel's modules",
    "busybox-static": "the containers' program",
    "golang-github-appc-cni-dev": "libcni, in the CNI runtime program",
    "golang-go": "Go's library, in the CNI runtime program",
}
UNNAMED = "see its copyright file"

# A licence's short name as in Debian's copyright format 1.0, section 7.2; old files
# in that format may hold whole sentences there.
SHORT_NAME = re.compile(
    r"^License: *([A-Za-z][\w.+-]*(?:(?:,? (?:and|or|with)) [\w.+ -]+)?)$", re.M
)
COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]*[0-9])?)")


@dataclass(frozen=True)
class Part:
    """A package, whole or in part, in the image; ``licences`` are short names, sorted."""

    package: str
    version: str
    source: str
    licences: tuple[str, ...]
    what: str = ""


def parts(disk: Path) -> list[Part]:
    """Return all that an image consists of, sorted by package.

    ``disk`` is its file system; what was recorded when it was built lies beside it. Raises
    Infrastructure where it can't be read.
    """
    found = list(_built_from(disk.parent))
    status = disk.with_name("status").read_text(encoding="utf-8")
    with temporary.folder("licences") as folder:
        _take_documents(disk, folder)
        for package, version, source in installed(status):
            found.append(Part(package, version, source, licences(folder / "doc" / package)))
    found.append(Part("underlay", __version__, "underlay", ("MIT",), "settings, and what starts"))
    return sorted(found, key=lambda part: (part.package, part.what))


def table(found: list[Part]) -> str:
    """Return ``found`` as tab-separated text with a heading."""
    rows = [("package", "version", "source", "licences", "part")]
    rows += [(p.package, p.version, p.source, ", ".join(p.licences), p.what) for p in found]
    return "".join("\t".join(row) + "\n" for row in rows)


def installed(status: str) -> Iterator[tuple[str, str, str]]:
    """Yield package, version and source package of each installed one in dpkg's ``status``."""
    for paragraph in status.split("\n\n"):
        lines = (line.partition(": ") for line in paragraph.splitlines() if line[:1] != " ")
        fields = {key: value for key, _, value in lines}
        if fields.get("Status", "").endswith(" installed"):
            package = fields["Package"]
            yield package, fields["Version"], fields.get("Source", package).partition(" ")[0]


def licences(documents: Path) -> tuple[str, ...]:
    """Return the licences that the ``copyright`` file in ``documents`` names, sorted."""
    try:
        text = (documents / "copyright").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return (UNNAMED,)
    names = {name.rstrip(",") for name in SHORT_NAME.findall(text)} or set(COMMON.findall(text))
    # Names that differ by their case alone have an order, too: the same files give the same list.
    return tuple(sorted(names, key=lambda name: (name.lower(), name))) or (UNNAMED,)


def built_from() -> dict[str, dict[str, Any]]:
    """Return version and licences of this machine's packages that go into an image it builds."""
    form = "${Package} ${Version}\n"
    words = ["dpkg-query", "--show", f"--showformat={form}", *BUILT_FROM]
    said = run(words, deadline=DEADLINE, check=False).stdout
    versions = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)
    return {
        package: {
            "version": versions.get(package, "unknown"),
            "licences": list(licences(DOCUMENTS / package)),
        }
        for package in BUILT_FROM
    }


def _built_from(folder: Path) -> Iterator[Part]:
    facts = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    # Images from before this was recorded: the key says that kernel and busybox are these.
    recorded = facts.get("built_from") or built_from()
    for package, fact in recorded.items():
        what = BUILT_FROM.get(package, "")
        yield Part(package, fact["version"], package, tuple(fact["licences"]), what)


def _take_documents(disk: Path, folder: Path) -> None:
    """Copy /usr/share/doc out of the file system in ``disk`` to ``folder/doc``."""
    run(
        ["debugfs", "-R", f'rdump {DOCUMENTS} "{folder}"', str(disk)],
        deadline=DEADLINE,
        environment={"PATH": paths.programs()},
    )
