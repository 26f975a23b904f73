"""The Debian packages of a bundle: fetched by apt from this system's own mirrors.

apt is given a state of its own and an empty list of what is installed, so that all comes along
which a machine may lack. What is recorded of a package is what it says of itself; where it was
fetched from isn't.
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from underlay.cluster.bundle.contents import (
    ARCHITECTURE,
    DEBS,
    DISTRIBUTION,
    INDEX,
    RELEASE,
    Licensed,
    Needed,
    sha256,
)  # fmt: skip
from underlay.cluster.image.build import BUSYBOX, KERNEL
from underlay.cluster.image.licences import licences
from underlay.cluster.process import run
from underlay.cluster.requirements.machine import packages
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEADLINE = 1800.0
SHORT = 60.0
# The nodes' image is named after these two files: nodes boot it where they are the same ones.
EXACT = {"user-mode-linux": KERNEL, "busybox-static": BUSYBOX}
# A mirror of somebody else's, such as Vagrant's own, may have newer packages of the same names.
PREFERENCES = f"""\
Package: *
Pin: release o=Debian,v={RELEASE}*
Pin-Priority: 900
"""
# Its own documents of a package, some of which are links to those of another.
DOCUMENTS = """\
for deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar --extract --no-recursion --wildcards \\
        --no-wildcards-match-slash --no-same-owner --no-same-permissions \\
        './usr/share/doc/*' './usr/share/doc/*/copyright' 2>/dev/null || :
done"""
STATUS = re.compile(r"dlstatus:\d+:([0-9.]+):")
# What --print-uris says of a package: where it is, and what apt calls it.
LOCAL = re.compile(r"'file:(?://)?(/[^']+)' (\S+\.deb) ")


def system() -> tuple[str, str, str]:
    """Return distribution, release and architecture of this machine; empty where it has none."""
    try:
        says = platform.freedesktop_os_release()
    except OSError:
        says = {}
    done = run(["dpkg", "--print-architecture"], deadline=SHORT, check=False)
    return says.get("ID", ""), says.get("VERSION_ID", ""), done.stdout.strip()


def refuse_elsewhere() -> None:
    """Raise Infrastructure where this machine isn't one for which bundles are made."""
    wanted = (DISTRIBUTION, RELEASE, ARCHITECTURE)
    found = system() if shutil.which("dpkg") else ("", "", platform.machine())
    if found != wanted:
        this = " ".join(filter(None, found))
        raise Infrastructure(
            f"a bundle is made on {' '.join(wanted)}, and this machine is {this}",
            hint="make it on Debian 13, or in a container of it",
        )


def needed() -> list[Needed]:
    """Return the packages that a machine must have, with versions where no other will do.

    Raises Infrastructure where this machine lacks one of these itself.
    """
    form = "${Package} ${Version}\n"
    words = ["dpkg-query", "--show", f"--showformat={form}", *EXACT]
    said = run(words, deadline=SHORT, check=False).stdout
    versions = dict(line.split() for line in said.splitlines() if len(line.split()) == 2)
    lacking = [package for package in EXACT if package not in versions]
    if lacking:
        raise Infrastructure(f"{lacking[0]} is not installed", hint="underlay doctor")
    return [Needed(package, probe, versions.get(package, "")) for package, probe, _ in packages()]


def fetch(
    wanted: Sequence[Needed], folder: Path, progress: Callable[[str], None]
) -> list[tuple[str, Licensed]]:
    """Fetch ``wanted``, and all that they need, into ``folder/debs``; write the index there.

    Returns each file's name in ``folder`` with what it is. Raises Infrastructure with what apt
    says where it can't.
    """
    work = folder / ".apt"
    apt = _apt(work)
    _run([*apt, "update"], "updating a copy of apt's lists", progress)
    names = [f"{p.package}={p.version}" if p.version else p.package for p in wanted]
    install = [*apt, "install", "--yes", "--download-only", "--no-install-recommends", *names]
    _run(install, "fetching Debian packages", progress)
    archives = work / "cache" / "archives"
    _take_local([*install, "--print-uris"], archives)
    (folder / DEBS).mkdir()
    debs = _renamed(sorted(archives.glob("*.deb")), folder)
    shutil.rmtree(work)
    progress("reading the packages' licences")
    found = _licensed(debs, folder)
    paragraphs = [_paragraph(path, said) for path, said in debs]
    (folder / INDEX).write_text("\n".join(paragraphs), encoding="utf-8")
    _refuse_other_python(found)
    return [(f"{DEBS}/{path.name}", of) for (path, _), of in zip(debs, found, strict=True)]


def installed_mib(folder: Path) -> int:
    """Return how many MiB the packages in the index of ``folder`` take, once installed.

    Those that every machine has don't count.
    """
    size = 0
    for paragraph in (folder / INDEX).read_text(encoding="utf-8").split("\n\n"):
        said = _fields(paragraph)
        if said.get("Priority") not in ("required", "important"):
            size += int(said.get("Installed-Size", "0"))
    return size >> 10


def _apt(work: Path) -> list[str]:
    """Return the beginning of apt's command line; what it keeps is in ``work``."""
    for path in ("lists/partial", "cache/archives/partial", "none"):
        (work / path).mkdir(parents=True)
    (work / "status").touch()
    (work / "preferences").write_text(PREFERENCES)
    settings = {
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Log": work,
        "Dir::Etc::preferences": work / "preferences",
        "Dir::Etc::preferencesparts": work / "none",
        "Acquire::Languages": "none",
        "APT::Architecture": ARCHITECTURE,
        # The folder is this user's alone, so apt's own user can't write there.
        "APT::Sandbox::User": "root",
        "APT::Status-Fd": "2",
    }
    return ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]


def _run(words: list[str], what: str, progress: Callable[[str], None]) -> None:
    def show(line: str) -> None:
        found = STATUS.match(line)
        if found:
            progress(f"{what}: {int(float(found[1])) // 10 * 10} %")

    progress(what)
    environment = {"LC_ALL": "C"}
    done = run(words, deadline=DEADLINE, environment=environment, on_line=show, check=False)
    said = [line for line in done.stderr.splitlines() if line[:2] in ("E:", "W:")]
    # An update that reached no mirror is only warned of.
    if done.returncode or (words[-1] == "update" and any("Failed to fetch" in w for w in said)):
        raise Infrastructure(
            "apt-get can't fetch the packages", detail="\n".join(said[-5:]), hint=_hint(said)
        )


def _take_local(words: list[str], archives: Path) -> None:
    """Copy what apt leaves where it is: the packages of a mirror on this machine's own disk."""
    for line in run(words, deadline=DEADLINE).stdout.splitlines():
        found = LOCAL.match(line)
        if found:
            shutil.copyfile(unquote(found[1]), archives / found[2])


def _hint(said: list[str]) -> str:
    gone = [package for package in EXACT if any(f"'{package}'" in line for line in said)]
    if gone:
        names = " ".join(EXACT)
        return f"sudo apt-get update && sudo apt-get install {names}; then underlay image build"
    return "a bundle is made where there is network; sudo apt-get update says more"


def _renamed(debs: list[Path], folder: Path) -> list[tuple[Path, str]]:
    """Move packages to where a bundle has them, by names without an epoch, as Debian's pool does.

    Returns each with what it says of itself.
    """
    made = []
    for deb in debs:
        said = run(["dpkg-deb", "--field", str(deb)], deadline=SHORT).stdout
        fields = _fields(said)
        version = fields["Version"].partition(":")[2] or fields["Version"]
        name = f"{fields['Package']}_{version}_{fields['Architecture']}.deb"
        path = folder / DEBS / name
        deb.rename(path)
        path.chmod(0o644)
        made.append((path, said))
    return sorted(made)


def _fields(paragraph: str) -> dict[str, str]:
    lines = (line.partition(": ") for line in paragraph.splitlines() if line[:1] != " ")
    return {key: value for key, _, value in lines}


def _paragraph(path: Path, said: str) -> str:
    """Return what the index says of a package: its own words, and how to know the file."""
    size = path.stat().st_size
    return f"{said.rstrip()}\nFilename: ./{path.name}\nSize: {size}\nSHA256: {sha256(path)}\n"


def _licensed(debs: list[tuple[Path, str]], folder: Path) -> list[Licensed]:
    work = folder / ".documents"
    work.mkdir()
    paths = [str(path.absolute()) for path, _ in debs]
    run(["sh", "-c", DOCUMENTS, "sh", *paths], deadline=DEADLINE, folder=work)
    documents = work / "usr" / "share" / "doc"
    # An absolute link would lead to this machine's own documents.
    for link in [path for path in documents.rglob("*") if path.is_symlink()]:
        if link.readlink().is_absolute():
            link.unlink()
    made = []
    for _, said in debs:
        of = _fields(said)
        name = of["Package"]
        source = of.get("Source", name).partition(" ")[0]
        made.append(Licensed(name, of["Version"], source, licences(documents / name)))
    shutil.rmtree(work)
    return made


def _refuse_other_python(found: list[Licensed]) -> None:
    """Raise Infrastructure where the wheels of this Python aren't for the one in the packages."""
    own = ".".join(platform.python_version_tuple()[:2])
    (theirs,) = (of.version for of in found if of.package == "python3")
    if theirs.split(".")[:2] != own.split("."):
        raise Infrastructure(
            f"Underlay runs by Python {own} here, and the bundle's machines have {theirs}",
            hint="remove .venv, so that it is made anew by /usr/bin/python3",
        )
