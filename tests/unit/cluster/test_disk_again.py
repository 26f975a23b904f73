"""A node that is booted again has what it has written, also where its kernel forgot to say so."""

from __future__ import annotations

from pathlib import Path

from underlay.cluster.providers.uml.holder import COW, COW_MAGIC, COW_PATH, COW_VERSION, mend

PAGE, SECTOR, PAGES = 4096, 512, 64


def cow(folder: Path, written: list[int], *, version: int = COW_VERSION) -> tuple[Path, int, int]:
    """Return a copy-on-write file without a bit in its bitmap, and where that and the data are."""
    path = folder / "node.cow"
    start = -(-(COW.size + COW_PATH) // PAGE) * PAGE
    data = start + PAGE
    with path.open("wb") as file:
        file.write(COW.pack(COW_MAGIC, version, 0, PAGES * PAGE, SECTOR, PAGE, 0))
        file.truncate(data + PAGES * PAGE)
        for page in written:
            file.seek(data + page * PAGE)
            file.write(b"x" * PAGE)
    return path, start, data


def test_what_was_written_is_the_nodes_own_and_nothing_else(tmp_path: Path) -> None:
    path, start, data = cow(tmp_path, [3, 4, 17, PAGES - 1])
    before = path.read_bytes()[data:]
    mend(str(path))
    after = path.read_bytes()
    marked = [number for number in range(PAGES) if after[start + number] == 0xFF]
    assert marked == [3, 4, 17, PAGES - 1]
    assert set(after[start : start + PAGES]) == {0, 0xFF}
    assert after[data:] == before


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path, _, _ = cow(tmp_path, [3], version=2)
    before = path.read_bytes()
    mend(str(path))
    assert path.read_bytes() == before
