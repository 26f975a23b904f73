"""An image as one file, and the list of its packages: with an image of a few kilobytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ending import ends, interrupted_once
from underlay import cli
from underlay.cluster.image import archive as image_archive
from underlay.cluster.image import build as image
from underlay.cluster.image import licences as image_licences
from underlay.cluster.image.build import Image
from underlay.storage import paths

KEY = "0123456789abcdef"
STATUS = """\
Package: dash
Status: install ok installed
Source: dash (0.5)
Version: 0.5.12-12
Description: a shell
 Version: of nothing

Package: gone
Status: deinstall ok config-files
Version: 1

Package: python3
Status: install ok installed
Version: 3.13.5-1
"""
DASH = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: BSD-3-clause

Files: src/mksignames.c
License: GPL-2+

License: Permission to use, copy, modify, and distribute this software and its
 documentation
"""
PYTHON = "On Debian systems it is in /usr/share/common-licenses/GPL-2.\n"
SOURCE = Path(__file__).resolve().parents[3] / "src"
EXPORT = f"""\
import os, sys
from pathlib import Path
from {image.__name__} import Image
from {image_archive.__name__} import export
folder, file = map(Path, sys.argv[1:])
try:
    export(Image(folder.name, folder), file)
finally:
    print(os.listdir(file.parent), file.read_text(), end="")
"""
RECORDED = {"user-mode-linux": {"version": "6.12", "licences": ["GPL-2"]}}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Return an image in a cache of its own, which is the one that nodes boot."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Image(KEY, paths.cache() / "images" / KEY)
    made.folder.mkdir(parents=True)
    facts = {"key": KEY, "kernel": "6.12.113", "built_from": RECORDED}
    (made.folder / "image.json").write_text(json.dumps(facts))
    (made.folder / "status").write_text(STATUS)
    made.cni.write_bytes(b"program")
    made.cni.chmod(0o755)
    documents = tmp_path / "root" / "usr" / "share" / "doc"
    for package, text in (("dash", DASH), ("python3", PYTHON)):
        (documents / package).mkdir(parents=True)
        (documents / package / "copyright").write_text(text)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    make = ["mke2fs", "-q", "-t", "ext4", "-d", str(tmp_path / "root"), str(made.disk), "8M"]
    subprocess.run(make, check=True, timeout=60, env=environment)
    made.disk.chmod(0o444)
    monkeypatch.setattr(image, "current", lambda: made)
    return made


def content(made: Image) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mode & 0o777, path.read_bytes())
        for path in made.folder.iterdir()
    }


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Turn to an empty cache, as on another machine, and return its folder of images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    return paths.cache() / "images"


def repacked(file: Path, change: Callable[[list[tuple[str, bytes]]], None]) -> Path:
    """Return a copy of an exported ``file`` after ``change`` to its names and contents."""
    with tarfile.open(file) as tar:
        entries = [(e.name, f.read()) for e in tar if (f := tar.extractfile(e)) is not None]
    change(entries)
    copy = file.with_name("changed.tar")
    with tarfile.open(copy, "w") as tar:
        for name, data in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return copy


@pytest.mark.parametrize("name", ["node.tar.zst", "node.tar.gz", "node.tgz", "node.tar"])
def test_what_was_exported_is_imported(
    name: str, built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(built)
    image_archive.export(built, tmp_path / name)
    folder = elsewhere(monkeypatch, tmp_path)
    imported, is_new = image_archive.import_(tmp_path / name, lambda line: None)
    assert (imported.folder, is_new) == (folder / KEY, True)
    assert content(imported) == before
    assert imported.disk.stat().st_blocks * 512 < imported.disk.stat().st_size, "no holes"
    assert image_archive.import_(tmp_path / name, lambda line: None) == (imported, False)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", KEY]


def test_same_image_same_bytes(built: Image, tmp_path: Path) -> None:
    files = [tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"]
    for file in files:
        image_archive.export(built, file)
        os.utime(built.cni, (1, 1))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_other_tools_can_check_it(built: Image, tmp_path: Path) -> None:
    image_archive.export(built, tmp_path / "node.tar.gz")
    (tmp_path / "out").mkdir()
    for command in (["tar", "-xzf", "../node.tar.gz"], ["sha256sum", "--check", "SHA256SUMS"]):
        done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


def flip(entries: list[tuple[str, bytes]]) -> None:
    index = [name for name, _ in entries].index("root.ext4")
    name, data = entries[index]
    entries[index] = (name, data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])


def escape(entries: list[tuple[str, bytes]]) -> None:
    entries.insert(1, ("../../escaped", b"x"))


def leave_out(entries: list[tuple[str, bytes]]) -> None:
    del entries[1]


def leave_out_sums(entries: list[tuple[str, bytes]]) -> None:
    entries.pop()


def foreign_key(entries: list[tuple[str, bytes]]) -> None:
    facts = b'{"key": "../../../etc"}'
    sums = entries[-1][1].decode().splitlines()[1:]
    entries[0] = ("image.json", facts)
    first = f"{hashlib.sha256(facts).hexdigest()}  image.json"
    entries[-1] = ("SHA256SUMS", "\n".join([first, *sums]).encode())


def reorder(entries: list[tuple[str, bytes]]) -> None:
    entries.append(entries.pop(0))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flip, "wrong content of root.ext4"),
        (escape, "unexpected '../../escaped'"),
        (leave_out, "wrong content of cni"),
        (leave_out_sums, "it ends too early"),
        (foreign_key, "'../../../etc' is no key of an image"),
        (reorder, "image.json is not the first file in it"),
    ],
)
def test_a_damaged_file_changes_nothing(
    change: Callable[[list[tuple[str, bytes]]], None],
    reason: str,
    built: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image_archive.export(built, tmp_path / "node.tar")
    file = repacked(tmp_path / "node.tar", change)
    folder = elsewhere(monkeypatch, tmp_path)
    assert cli.main(["image", "import", str(file)]) == 2
    assert f"{file} is no image, or is damaged: {reason}\n" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("name", ["node.tar.gz", "node.tar.zst"])
def test_a_file_cut_short_changes_nothing(
    name: str, built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_archive.export(built, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    folder = elsewhere(monkeypatch, tmp_path)
    for length in (0, 3, len(whole) // 2, len(whole) - 3):
        (tmp_path / name).write_bytes(whole[:length])
        assert cli.main(["image", "import", str(tmp_path / name)]) == 2
        assert [path.name for path in folder.iterdir()] == [".lock"]


def plain(name: str, **facts: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(entry, key, value)
    return entry


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (plain("link", type=tarfile.SYMTYPE, linkname="/etc"), "unexpected 'link -> /etc'"),
        (plain("hard", type=tarfile.LNKTYPE, linkname="cni"), "unexpected 'hard link to cni'"),
        (plain("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "unexpected 'null'"),
        (plain("sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0), "unexpected 'sda'"),
        (plain("pipe", type=tarfile.FIFOTYPE), "unexpected 'pipe'"),
        (plain("folder", type=tarfile.DIRTYPE), "unexpected 'folder/'"),
        (plain("/etc/absolute"), "unexpected '/etc/absolute'"),
        (plain("a/../../b"), "unexpected 'a/../../b'"),
        (plain(" blank"), "unexpected 'blank'"),
        (plain(".hidden"), "unexpected '.hidden'"),
        (plain("-option"), "unexpected '-option'"),
        (plain("two\nlines"), r"unexpected 'two\\nlines'"),
        (plain("cni"), "unexpected 'cni'"),
        (plain("\u00e4" * 150), "unexpected '"),
        (plain("short", pax_headers={"path": "../long"}), "unexpected '../long'"),
        (plain("unnamed"), "wrong content of unnamed"),
    ],
    ids=lambda value: value.name[:12] if isinstance(value, tarfile.TarInfo) else "",
)
def test_a_hostile_file_changes_nothing(
    entry: tarfile.TarInfo,
    reason: str,
    built: Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever else than plain files of plain names is in it is refused before it is unpacked."""
    image_archive.export(built, tmp_path / "node.tar")
    changed = tmp_path / "changed.tar"
    with tarfile.open(tmp_path / "node.tar") as old, tarfile.open(changed, "w") as new:
        *first, last = old
        for member in (*first, entry, last):
            new.addfile(member, old.extractfile(member) if member in (*first, last) else None)
    folder = elsewhere(monkeypatch, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["image", "import", str(changed)]) == 2
    assert f"{changed} is no image, or is damaged: {reason}" in capsys.readouterr().err
    assert {*tmp_path.rglob("*")} - {*before} == {
        folder.parents[1],
        folder.parent,
        folder,
        folder / ".lock",
    }


@pytest.mark.parametrize("size", [0, 100, 1 << 40])
def test_a_wrong_size_changes_nothing(
    size: int, built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "node.tar"
    image_archive.export(built, file)
    data = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        cni = tar.getmember("cni")
    cni.size = size
    data[cni.offset : cni.offset + 512] = cni.tobuf(tarfile.GNU_FORMAT)
    file.write_bytes(data)
    folder = elsewhere(monkeypatch, tmp_path)
    assert cli.main(["image", "import", str(file)]) == 2
    assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "facts", [b"[]", b"{}", b"[" * 100_000, b"\xff", b"{" + b" " * (1 << 20) + b"}"]
)
def test_facts_of_any_kind(
    facts: bytes, built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(entries: list[tuple[str, bytes]]) -> None:
        entries[0] = ("image.json", facts)
        sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {n}\n" for n, data in entries[:-1])
        entries[-1] = ("SHA256SUMS", sums.encode())

    image_archive.export(built, tmp_path / "node.tar")
    file = repacked(tmp_path / "node.tar", change)
    folder = elsewhere(monkeypatch, tmp_path)
    assert cli.main(["image", "import", str(file)]) == 2
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_an_archive_without_holes_is_imported_with_holes(
    built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as Underlay wrote earlier, and other programs write."""
    before = content(built)
    image_archive.export(built, tmp_path / "node.tar")
    file = repacked(tmp_path / "node.tar", lambda entries: None)
    assert file.stat().st_size > built.disk.stat().st_size
    elsewhere(monkeypatch, tmp_path)
    imported, _ = image_archive.import_(file, lambda line: None)
    assert {name: data for name, (_, data) in content(imported).items()} == {
        name: data for name, (_, data) in before.items()
    }
    assert imported.disk.stat().st_blocks * 512 < imported.disk.stat().st_size


def test_a_name_that_tar_takes_for_another_machine(
    built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAR_OPTIONS", "--verbose --remove-files")
    monkeypatch.chdir(tmp_path)
    file = Path("host:-node.tar.gz")
    image_archive.export(built, file)
    assert built.cni.exists()
    elsewhere(monkeypatch, tmp_path)
    assert image_archive.import_(file, lambda line: None)[1]


def test_what_a_kill_left_is_not_exported(built: Image, tmp_path: Path) -> None:
    for name in (".machine.ext4-1", ".machine.ext4-2/machine.ext4", image_archive.COPY):
        (built.folder / name).parent.mkdir(exist_ok=True)
        (built.folder / name).touch()
    image_archive.export(built, tmp_path / "node.tar")
    with tarfile.open(tmp_path / "node.tar") as tar:
        names = tar.getnames()
    assert names == ["image.json", "cni", "root.ext4", "status", "SHA256SUMS"]


@pytest.mark.parametrize("name", ["node.tar", "node.tar.gz", "node.tar.zst"])
def test_a_full_disk(
    name: str, built: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The export says so, and leaves what was there: the disk is a small one in memory."""
    small = tmp_path / "small"
    small.mkdir()
    for number in range(64):
        (built.folder / f"noise{number}").write_bytes(os.urandom(1 << 14))
    script = 'mount -t tmpfs -o size=512k none "$1" && echo old >"$1/$2" && shift 2 && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    words += [str(small), name, sys.executable, "-c", EXPORT, str(built.folder), str(small / name)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout == f"['{name}'] old\n", done.stderr
    assert f"Infrastructure: cannot write {small}/{name}" in done.stderr


def test_an_interrupted_export_leaves_nothing(
    built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, pid = tmp_path / "slow", tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $$ >{pid}\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setitem(image_archive.COMPRESSORS, ".tar", (str(slow),))

    with interrupted_once(pid), pytest.raises(KeyboardInterrupt):
        image_archive.export(built, tmp_path / "node.tar")
    assert list(tmp_path.glob("*node*")) == []
    assert ends(int(pid.read_text())), "the compressor outlives the command"


def test_what_is_no_image(built: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other"
    file.write_bytes(gzip.compress(b"hello"))
    assert cli.main(["image", "import", str(file)]) == 2
    assert cli.main(["image", "import", str(tmp_path)]) == 2
    assert cli.main(["image", "import", str(tmp_path / "nonsuch")]) == 2
    assert cli.main(["image", "import"]) == 2
    assert cli.main(["image", "export", str(tmp_path / "node.zip")]) == 2
    assert cli.main(["image", "export", str(tmp_path / "nonsuch" / "node.tar")]) == 2
    said = capsys.readouterr().err
    assert f"cannot read {tmp_path / 'nonsuch'}: No such file" in said
    assert "`underlay image import` needs a FILE" in said
    assert "node.zip does not say how to compress it" in said
    assert f"cannot write {tmp_path / 'nonsuch' / 'node.tar'}" in said


def test_missing_compressor(built: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(image_archive.COMPRESSORS, ".tar.zst", ("no-such-program",))
    monkeypatch.setattr(image_licences, "parts", lambda made: [])
    assert cli.main(["image", "export", str(tmp_path / "node.tar.zst")]) == 3
    assert [path.name for path in tmp_path.glob("*node*")] == []


def test_export_lists_packages_beside_it(
    built: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "node.tar.gz"
    assert cli.main(["image", "export", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    beside = tmp_path / "node.tar.gz.packages.tsv"
    assert (document["key"], document["packages_file"]) == (KEY, str(beside))
    rows = [line.split("\t") for line in beside.read_text().splitlines()]
    assert rows == [
        ["package", "version", "source", "licences", "part"],
        ["dash", "0.5.12-12", "dash", "BSD-3-clause, GPL-2+", ""],
        ["python3", "3.13.5-1", "python3", "GPL-2", ""],
        ["underlay", "0.1.0", "underlay", "MIT", "settings, and what starts"],
        ["user-mode-linux", "6.12", "user-mode-linux", "GPL-2", "the kernel's modules"],
    ]
    assert cli.main(["image", "export", str(file)]) == 2
    assert f"{file} is there already\n\nhint: --force" in capsys.readouterr().err
    assert cli.main(["image", "export", str(file), "--force"]) == 0


def test_parts_of_this_machine_are_recorded() -> None:
    recorded = image_licences.built_from()
    assert recorded.keys() == image_licences.BUILT_FROM.keys()
    assert all(fact["licences"] for fact in recorded.values())


def test_names_that_differ_by_case_alone_have_an_order(tmp_path: Path) -> None:
    """Such as libdebconfclient0's; each process has an order of sets of its own."""
    names = ["MIT", "mit", "BSD-2-clause", "BSD-2-Clause", "bsd-2-clause"]
    (tmp_path / "copyright").write_text("".join(f"License: {name}\n" for name in names))
    found = image_licences.licences(tmp_path)
    assert found == ("BSD-2-Clause", "BSD-2-clause", "bsd-2-clause", "MIT", "mit")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "next.ext4", "--without", "dcker.io"], "did you mean docker.io?"),
        (["build", "--without", "docker.io"], "has no FILE for it"),
        (["export", "next.tar", "--with", "dash"], "has no FILE for it"),
        (["build", "next.ext4", "--with", "a,b"], "'a,b': that is no name of a Debian package"),
        (["build", "nowhere/next.ext4"], "there is no folder nowhere"),
        (["build", "there"], "there is there already"),
    ],
)
def test_another_image_that_cannot_be_built_is_refused_before_anything_is(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    assert cli.main(["image", *words]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
