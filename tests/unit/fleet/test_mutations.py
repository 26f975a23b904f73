"""How many of people's mistakes lint names in hosts' files, and none in clean folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive import files_of, unpack
from mutations import END, MUTATIONS, Mutation
from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import carry
from underlay.fleet.folder import read_host
from underlay.fleet.host import Host
from underlay.lint.finding import Finding
from underlay.lint.hosts import lint_hosts

HERE = Path(__file__).parent
FLEET = files_of((HERE / "three-hosts.txt").read_text(encoding="utf-8"))
CLEAN = sorted((HERE / "clean").glob("*.txt"))
EVERY = [(part, mutation) for part, found in MUTATIONS.items() for mutation in found]
# The share that has to be named, and on the right line.
LEAST = 0.95


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Mutation, list[Finding]]]:
    """Return what lint says about the three hosts with each of the mistakes in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fleet"))
        unpack(FLEET, Path.cwd())
        names = sorted({Path(file).parts[0] for file in FLEET})
        hosts = {name: read_host(name, Path(name)) for name in names}
        yield {mutation: _said(mutation, hosts) for _, mutation in EVERY}


def _said(mutation: Mutation, hosts: dict[str, Host]) -> list[Finding]:
    """Make one mistake in the files at hand, lint, and take it back."""
    file = Path(mutation.file)
    changed = Path(mutation.renamed or mutation.file)
    text, mode = file.read_text(encoding="utf-8"), file.stat().st_mode
    file.unlink()
    changed.write_text(mutated(mutation)[str(changed)], encoding="utf-8")
    changed.chmod(mutation.mode or mode)
    name = file.parts[0]
    try:
        found = lint_hosts(tuple({**hosts, name: read_host(name, Path(name))}.values()))
    finally:
        changed.unlink()
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
    return found


def mutated(mutation: Mutation) -> dict[str, str]:
    """Return the files of the three hosts with one mistake in them."""
    files = dict(FLEET)
    text = files.pop(mutation.file)
    assert mutation.old in text, f"{mutation.file} doesn't hold {mutation.old!r}"
    changed = text.replace(mutation.old, mutation.new, 1) if mutation.old else text + mutation.new
    return {**files, mutation.renamed or mutation.file: changed}


def unnamed(mutation: Mutation, findings: list[Finding]) -> str:
    """Return nothing where the mistake is named in its place, else what was said instead."""
    lines = _lines(mutation, mutated(mutation))
    for finding in findings:
        spots = [finding.spot, *(finding.related if mutation.either else ())]
        if finding.id == mutation.rule and any((s.file, s.line) in lines for s in spots):
            return ""
    return "; ".join(f"{f.spot} {f.id}" for f in findings) or "nothing"


def _lines(mutation: Mutation, files: dict[str, str]) -> set[tuple[str, int]]:
    """Return the places where the finding may stand: file and line."""
    file = mutation.renamed or mutation.file
    mark = mutation.at or mutation.new
    if mutation.rule in ("parent-missing", "docker-parent-invalid") and file.endswith(".env"):
        file = f"{file.rpartition('/')[0]}/compose.yml"
    if mark.endswith(".netdev"):
        file = "core-01/config.ign"
        mark = "NetDev"
    if not mark:
        # The file as a whole is wrong.
        return {(file, 0), (file, 1)}
    text = files[file]
    if mark == END:
        return {(file, text.count("\n") + 1)}
    return {(file, text[: text.index(mark)].count("\n") + 1)}


def linted(files: dict[str, str], folder: Path) -> tuple[tuple[Host, ...], list[str]]:
    """Return the hosts that ``files`` make, and what lint says about them."""
    unpack(files, folder)
    names = sorted({Path(file).parts[0] for file in files})
    hosts = tuple(read_host(name, folder / name) for name in names)
    return hosts, [str(finding) for finding in lint_hosts(hosts)]


def test_three_hosts_are_clean(tmp_path: Path) -> None:
    assert linted(FLEET, tmp_path)[1] == []


@pytest.mark.parametrize(
    "mutation",
    [mutation for part, mutation in EVERY if part != "unnamed"],
    ids=[f"{part}: {m.name}".replace(" ", "-") for part, m in EVERY if part != "unnamed"],
)
def test_mutation(mutation: Mutation, said: dict[Mutation, list[Finding]]) -> None:
    found = unnamed(mutation, said[mutation])
    assert not found, f"{mutation.rule} expected, said: {found}"


def test_share_of_mutations_that_are_named(
    said: dict[Mutation, list[Finding]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Print the figures, and what isn't named: its reason stands in the table."""
    figures: dict[str, tuple[int, int]] = {}
    lost = []
    for part, mutation in EVERY:
        found = unnamed(mutation, said[mutation]) if mutation.rule else "nothing"
        done, count = figures.get(part, (0, 0))
        figures[part] = (done + (not found), count + 1)
        if found:
            lost.append(f"{part}: {mutation.name}: {found}")
    done, count = (sum(column) for column in zip(*figures.values(), strict=True))
    with capsys.disabled():
        rows = ", ".join(f"{part} {good} of {all_}" for part, (good, all_) in figures.items())
        print(f"\nmutations named: {done} of {count} ({rows})")
        for line in lost:
            print(f"  {line}")
    assert count >= 80
    assert done / count >= LEAST


@pytest.mark.parametrize("mutation", MUTATIONS["unnamed"], ids=lambda m: m.name.replace(" ", "-"))
def test_what_stays_unnamed_is_still_unnamed(
    mutation: Mutation, said: dict[Mutation, list[Finding]]
) -> None:
    assert said[mutation] == [], "named by now: give it its rule"


@pytest.mark.parametrize("case", CLEAN, ids=lambda path: path.stem)
def test_clean_folder(case: Path, tmp_path: Path) -> None:
    hosts, findings = linted(files_of(case.read_text(encoding="utf-8")), tmp_path)
    assert all(host.networks or host.links for host in hosts), "nothing was looked into"
    assert findings == []


def test_clean_folders_are_ten() -> None:
    assert len(CLEAN) >= 10


def _import(files: dict[str, str]) -> tuple[object, ...]:
    """Return all that an import of the hosts says: the lab, and what is to be said of it."""
    pairs = unpack(files, Path.cwd())
    hosts = read_hosts(pairs, inside=True)
    findings = {(finding.id, finding.message) for finding in lint_hosts(hosts)}
    try:
        carried = carry(hosts, {}, "lab")
    except BadInput as error:
        return error.message, findings
    left = {(one.what, one.why) for one in carried.left_out}
    return carried.lab, {one.text for one in carried.assumptions}, left, findings


@pytest.mark.all
def test_no_mistake_is_lost_in_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unseen = []
    for number, (_, mutation) in enumerate([(None, None), *EVERY]):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        said = _import(mutated(mutation) if mutation else FLEET)
        if mutation is None:
            right = said
        elif said == right and not mutation.mode:
            unseen.append(mutation)
    # A lab has no images, and the routes of the nodes themselves are left out, whatever they say.
    assert [mutation.old.partition(" ")[0] for mutation in unseen] == ["nginx:", "to:"]
