"""What goes into a bundle: packages by the real apt from a local source, wheels, the checkout."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from small_bundle import small_bundle
from underlay.cluster.bundle import checkout, debian, wheels
from underlay.cluster.bundle.contents import Licensed, Needed, needs, sha256
from underlay.cluster.bundle.reading import check
from underlay.errors import Infrastructure

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}.5-1"
FREE = "License: Expat\n"

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get isn't here")


def deb(folder: Path, name: str, version: str, *, depends: str = "", doc: str = "") -> None:
    """Build a package in ``folder`` whose documents are a link to those of ``doc``, or its own."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    fields = [
        f"Package: {name}", f"Version: {version}", "Architecture: all", "Source: from (1)",
        "Maintainer: nobody <nobody@example.org>", "Installed-Size: 2048", "Description: x",
    ]  # fmt: skip
    fields += [f"Depends: {depends}"] if depends else []
    (root / "DEBIAN" / "control").write_text("\n".join(fields) + "\n")
    documents = root / "usr" / "share" / "doc"
    documents.mkdir(parents=True)
    if doc:
        (documents / name).symlink_to(doc)
    else:
        (documents / name).mkdir()
        (documents / name / "copyright").write_text(FREE)
    file = folder / f"{name}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(root), str(file)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    shutil.rmtree(root)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of packages that is apt's only source."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    deb(folder, "python3", VERSION)
    deb(folder, "wanted", "2:1.5-1", depends="beside (>= 1)")
    deb(folder, "beside", "1.0", doc="wanted")
    listed = ""
    for path in sorted(folder.glob("*.deb")):
        said = subprocess.run(
            ["dpkg-deb", "--field", str(path)], capture_output=True, text=True, timeout=60
        ).stdout
        listed += f"{said}Filename: ./{path.name}\nSize: {path.stat().st_size}\n"
        listed += f"SHA256: {sha256(path)}\n\n"
    (folder / "Packages").write_text(listed)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/nowhere";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return folder


@needs_apt
def test_packages_come_with_what_they_need(mirror: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    wanted = [Needed("wanted", "x", "2:1.5-1"), Needed("python3", "y")]
    steps: list[str] = []
    found = debian.fetch(wanted, work, steps.append)
    assert found == [
        ("debs/beside_1.0_all.deb", Licensed("beside", "1.0", "from", ("Expat",))),
        (f"debs/python3_{VERSION}_all.deb", Licensed("python3", VERSION, "from", ("Expat",))),
        ("debs/wanted_1.5-1_all.deb", Licensed("wanted", "2:1.5-1", "from", ("Expat",))),
    ]
    assert [path.name for path in work.iterdir()] == ["debs"], "nothing of apt's stays"
    index = (work / "debs" / "Packages").read_text()
    assert "Filename: ./wanted_1.5-1_all.deb\n" in index
    assert str(mirror) not in index
    assert debian.installed_mib(work) == 6
    assert "fetching Debian packages" in steps


@needs_apt
def test_what_the_mirror_lacks_is_said(mirror: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(Infrastructure, match="apt-get can't fetch the packages") as caught:
        debian.fetch([Needed("python3", "x"), Needed("gone", "x")], work, lambda step: None)
    assert "gone" in caught.value.detail


@needs_apt
def test_packages_with_another_python_are_refused(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "11", "2"))
    with pytest.raises(Infrastructure, match=f"and the bundle's machines have {VERSION}"):
        debian.fetch([Needed("python3", "x")], work, lambda step: None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("License-Expression: MIT\nLicense: text", ("MIT",)),
        ("Classifier: License :: OSI Approved :: BSD License\nLicense: BSD", ("BSD License",)),
        ("License: PSF", ("PSF",)),
        (f"License: {'a' * 100}", ("see its copyright file",)),
        ("Keywords: none", ("see its copyright file",)),
    ],
)
def test_a_wheel_says_its_licences(said: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    wheel = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("x-1.dist-info/METADATA", f"Name: x\nVersion: 1\n{said}\n\nText\n")
    assert wheels.described(wheel) == Licensed("x", "1", "x", expected)


def git(folder: Path, *words: str) -> None:
    person = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(
        ["git", *person, *words], cwd=folder, check=True, capture_output=True, timeout=60
    )


def test_the_checkout_is_what_is_tracked_and_the_users_labs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("labs/shipped.yml", "src/a.py", "gone.txt", ".gitignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("*.pyc\n")
    git(tmp_path, "init", "-q", "root")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    (root / "gone.txt").unlink()
    for name in ("labs/mine.yml", "labs/x.pyc", "courses/mine/course.yml", "notes.txt", "src/b.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    carried = [str(path) for path in checkout.files(root)]
    tracked = [".gitignore", "labs/shipped.yml", "src/a.py"]
    assert carried == sorted([*tracked, "labs/mine.yml", "courses/mine/course.yml"])
    commit, changed = checkout.commit(root)
    assert (len(commit), changed) == (40, True)


def test_a_checkout_that_came_by_a_bundle_can_make_one(tmp_path: Path) -> None:
    for name in ("underlay", ".from-bundle", ".venv/x", "src/__pycache__/x", "src/x", ".git/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("sum commit\n")
    (tmp_path / ".git" / "x").unlink()
    (tmp_path / ".git").rmdir()
    assert [str(path) for path in checkout.files(tmp_path)] == ["src/x", "underlay"]
    assert checkout.commit(tmp_path) == ("commit", False)


def test_the_same_checkout_gives_the_same_bytes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("a")
    (root / "b").write_text("b")
    (root / "b").chmod(0o700)
    checkout.pack(root, tmp_path / "one.tar.gz")
    (root / "a").touch()
    checkout.pack(root, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        modes = {entry.name: entry.mode for entry in tar}
    assert modes == {"a": 0o644, "b": 0o755}


def test_the_same_parts_give_the_same_bundle(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (small_bundle(tmp_path / name) for name in ("one", "two"))
    a, b = check(one, lambda step: None), check(two, lambda step: None)
    checkouts = {held.name: held.sha256 for held in a.files}
    # The small checkout is packed anew by tarfile, which writes the time into gzip's head.
    assert {h.name for h in b.files if checkouts[h.name] != h.sha256} <= {"underlay.tar.gz"}


def test_the_head_of_a_bundle_is_enough_to_begin(tmp_path: Path) -> None:
    with tarfile.open(small_bundle(tmp_path)) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    assert names[:3] == ["install", "README.txt", "SHA256SUMS"]
    assert names[-1] == "image.tar.zst"


def test_needs_are_lines_that_a_shell_reads() -> None:
    said = needs([Needed("a", "/usr/bin/a*"), Needed("b", "b", "1:2")], {"cache": 5})
    assert said.splitlines() == [
        "distribution debian", "release 13", "architecture amd64", "room-cache 5",
        "package a /usr/bin/a* -", "package b b 1:2",
    ]  # fmt: skip
