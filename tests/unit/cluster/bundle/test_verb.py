"""What the verb says and refuses, and its documents."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

import doc_pages
from small_bundle import Change, changed, small_bundle, this_system
from underlay import cli
from underlay.cluster.bundle import debian
from underlay.cluster.bundle.contents import MANIFEST, sha256
from underlay.storage import paths

DEB = "debs/python3_3.13.5-1_amd64.deb"
PAGE = doc_pages.DOCS / "verbs" / "bundle.md"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["bundle", *words])
    streams = capsys.readouterr()
    return code, streams.out, streams.err


def test_a_whole_bundle_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = small_bundle(tmp_path)
    code, out, _ = said(capsys, "check", str(file))
    assert code == 0
    assert "1 Debian packages, 0 MB" in out
    assert f"sha256: {sha256(file)}" in out


def test_the_documents_are_as_the_page_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = small_bundle(tmp_path, needed=this_system())
    code, out, _ = said(capsys, "check", str(file), "--json")
    assert (code, doc_pages.wrong_fields(PAGE, json.loads(out))) == (0, [])
    folder = tmp_path / "there"
    code, out, _ = said(capsys, "install", str(file), "--into", str(folder), "--json")
    document = json.loads(out)
    assert (code, document["folder"]) == (0, str(folder))
    assert set(document) == {"document", "version", "file", "folder", "image", "seconds"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["install"], "`underlay bundle install` needs a FILE"),
        (["check"], "`underlay bundle check` needs a FILE"),
        (["instal", "a.tar"], "there is no action 'instal'\n\nhint: did you mean install?"),
        (["a.tar", "b.tar"], "there is no action 'a.tar'\n\nhint: the actions are check, install"),
        (["a.tar.gz"], "a bundle is a tar file, and a.tar.gz doesn't end in .tar"),
        (["a.tar", "--into", "b"], "--into is for `bundle install`"),
        (["check", "a.tar"], "cannot read a.tar: No such file or directory"),
        (["/nowhere/a.tar"], "cannot write /nowhere/a.tar: No such file or directory"),
    ],
)
def test_wrong_words_are_refused(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(debian, "system", lambda: ("debian", "13", "amd64"))
    code, _, err = said(capsys, *words)
    assert code == 2
    assert f"error: {message}" in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.tar"
    file.write_text("mine")
    code, _, err = said(capsys, str(file))
    assert (code, file.read_text()) == (2, "mine")
    assert "is there already\n\nhint: --force replaces it" in err


def test_another_system_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(debian, "system", lambda: ("ubuntu", "24.04", "arm64"))
    code, _, err = said(capsys, str(tmp_path / "a.tar"))
    assert code == 3
    assert "made on debian 13 amd64, and this machine is ubuntu 24.04 arm64" in err


def test_an_installed_underlay_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "is_checkout", lambda: False)
    code, _, err = said(capsys, str(tmp_path / "a.tar"))
    assert code == 2
    assert "a bundle is made of a checkout, and this Underlay is installed" in err


def test_too_small_a_disk_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(debian, "system", lambda: ("debian", "13", "amd64"))
    monkeypatch.setattr("underlay.cluster.bundle.making.ROOM", 1 << 40)
    code, _, err = said(capsys, str(tmp_path / "a.tar"))
    assert code == 2
    assert "MiB free, a bundle needs" in err


def flip(entries: list[tuple[str, bytes]]) -> None:
    index = [name for name, _ in entries].index(f"{top(entries)}/{DEB}")
    name, data = entries[index]
    entries[index] = (name, bytes([data[0] ^ 1]) + data[1:])


def leave_out(entries: list[tuple[str, bytes]]) -> None:
    entries[:] = [entry for entry in entries if not entry[0].endswith(DEB)]


def put_in(entries: list[tuple[str, bytes]]) -> None:
    entries.append((f"{top(entries)}/debs/more.deb", b"x"))


def twice(entries: list[tuple[str, bytes]]) -> None:
    entries.append(entries[-1])


def escape(entries: list[tuple[str, bytes]]) -> None:
    entries.insert(1, (f"{top(entries)}/../../escaped", b"x"))


def without_sums(entries: list[tuple[str, bytes]]) -> None:
    entries[:] = [entry for entry in entries if not entry[0].endswith("/SHA256SUMS")]


def top(entries: list[tuple[str, bytes]]) -> str:
    return entries[0][0].partition("/")[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flip, f"wrong content of {DEB}"),
        (leave_out, f"wrong content of {DEB}"),
        (put_in, "wrong content of debs/more.deb"),
        (twice, "image.tar.zst is in it twice"),
        (escape, "unexpected 'underlay-"),
        (without_sums, "it holds no SHA256SUMS"),
    ],
)
@pytest.mark.parametrize("action", ["check", "install"])
def test_a_damaged_bundle_is_refused_by_name(
    action: str,
    change: Change,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = changed(small_bundle(tmp_path, needed=this_system()), change)
    before = sorted(tmp_path.iterdir())
    into = ["--into", str(tmp_path / "there")] if action == "install" else []
    code, _, err = said(capsys, action, str(file), *into)
    assert code == 2
    assert f"{file} is no bundle, or is damaged: {reason}" in err
    assert sorted(tmp_path.iterdir()) == before


def test_a_bundle_cut_short_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = small_bundle(tmp_path)
    whole = file.read_bytes()
    for length in (0, 100, 600, len(whole) // 2, len(whole) * 3 // 4):
        file.write_bytes(whole[:length])
        code, _, err = said(capsys, "check", str(file))
        assert (code, "is no bundle, or is damaged" in err) == (2, True), (length, err)


def test_a_link_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as tar:
        entry = tarfile.TarInfo("underlay/install")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    code, _, err = said(capsys, "check", str(file))
    assert code == 2
    assert "unexpected 'underlay/install'" in err


def test_a_manifest_of_any_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(entries: list[tuple[str, bytes]]) -> None:
        at = [name for name, _ in entries].index(f"{top(entries)}/{MANIFEST}")
        entries[at] = (entries[at][0], b'{"format": []}')

    file = changed(small_bundle(tmp_path), change, summed=True)
    code, _, err = said(capsys, "check", str(file))
    assert code == 2
    assert "is no bundle, or is damaged" in err
