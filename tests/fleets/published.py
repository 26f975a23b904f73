"""Published recipes as fleets: the page's own files, read as the hosts' of somebody who follows it.

``examples/published`` has a folder for each, with ``recipe.yml`` and the files of one host. Two
hosts follow it word for word, as most who read such a page have more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import carry
from underlay.fleet.host import Host
from underlay.lint.finding import Finding
from underlay.lint.hosts import lint_hosts
from underlay.storage.paths import root

FOLDER = root() / "examples" / "published"
HOSTS = ("one", "two")
# A recipe that can't work: it is run as it stands here.
SHOWN = """\
$ ./underlay lint --host one=examples/published/rook-dynamic/host
examples/published/rook-dynamic/host/public-net.yaml:7:11: error: ipam-subnet-invalid: \
'1192.168.0.0/18' is no range
  reason: A subnet is an address and a prefix length, such as 10.1.0.0/24.
  cure: write it as 10.1.0.0/24
  source: containernetworking/plugins, plugins/ipam/host-local/backend/allocator/range.go

1 host, 2 files: 1 error, 0 warnings
$ echo $?
1
"""


@dataclass(frozen=True)
class Recipe:
    """A recipe: what it is called, whose page it is from, at which commit, and when it was read.

    ``commit`` is empty for a page that no repository holds. ``beside`` is what else is to be known.
    """

    name: str
    title: str
    page: str
    read: str
    commit: str = ""
    beside: str = ""

    @property
    def folder(self) -> Path:
        """The files of a host that follows it."""
        return FOLDER / self.name / "host"

    @property
    def files(self) -> dict[str, str]:
        """Return the files by their paths on the host."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {
            path.relative_to(self.folder).as_posix(): path.read_text(encoding="utf-8")
            for path in found
        }

    def hosts(self, count: int) -> tuple[Host, ...]:
        """Return so many hosts that have followed it."""
        return read_hosts([f"{name}={self.folder}" for name in HOSTS[:count]], inside=True)

    def findings(self, count: int) -> list[Finding]:
        """Return what lint says of so many hosts."""
        return lint_hosts(self.hosts(count))

    def carried(self, count: int) -> str:
        """Return what import makes of so many hosts: a sentence, or why it makes none."""
        try:
            lab = carry(self.hosts(count), {}, "lab").lab
        except BadInput as error:
            return f"no lab: {self._bare(error)}"
        return f"a lab with the networks {', '.join(lab['networks'])}"

    def _bare(self, error: BadInput) -> str:
        said = f"{error.message}\n{error.hint or ''}".replace("hint: ", "").splitlines()
        lines = [line.strip() for line in said if str(self.folder) in line or self.name in line]
        text = (lines or said)[0]
        for path in self.files:
            head, found, tail = text.partition(f"{path}:")
            if found:
                return f"{head.rpartition(' ')[0]} {found}{tail}".strip()
        return text


def recipes() -> Iterator[Recipe]:
    """Yield all of them, in the order of their names."""
    for file in sorted(FOLDER.glob("*/recipe.yml")):
        said = YAML(typ="safe").load(file)
        yield Recipe(file.parent.name, **{key: str(value) for key, value in said.items()})


def page() -> str:
    """Return the page that shows them all."""
    found = list(recipes())
    lines = [
        "# Published recipes as fleets",
        "",
        "<!-- Made by docs/reference.py; change it or the code that it reads, not this page. -->",
        "",
        f"What {len(found)} recipes of other people's pages say, word for word, as the files of a",
        "host: `examples/published/` has a folder for each. Below each is what `lint --host` finds",
        "on one host that follows it, and what it finds in addition where a second one follows it,",
        "too. As labs that are measured with packets, with what had to be changed for that, such",
        "recipes stand in [Recipes](recipes.md).",
        "",
        "<!-- tested: unit -->",
        "```console",
        *SHOWN.splitlines(),
        "```",
    ]
    for recipe in found:
        lines += ["", *_told(recipe)]
    return "\n".join(lines) + "\n"


def _told(recipe: Recipe) -> Iterator[str]:
    at = f" at {recipe.commit}" if recipe.commit else ""
    yield f"## {recipe.title}"
    yield ""
    yield f"`{recipe.name}`, from {recipe.page}{at}, read {recipe.read}. {recipe.beside}".rstrip()
    for path, text in recipe.files.items():
        yield ""
        yield f"`{path}`:"
        yield ""
        yield "```text"
        yield from text.rstrip().splitlines()
        yield "```"
    yield ""
    alone, both = ([_line(f) for f in recipe.findings(count)] for count in (1, 2))
    yield "| Hosts | What is found |"
    yield "|---|---|"
    yield f"| one | {'; '.join(alone) or 'nothing'} |"
    yield f"| two | {'; '.join(line for line in both if line not in alone) or 'nothing more'} |"


def _line(finding: Finding) -> str:
    return f"`{finding.id}`: {_cell(finding.message)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
