"""In which version of CNI's a machine's plugins are spoken to, where they know less than a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from underlay_node import host_plugins
from underlay_node.commands import Failed

FILE = {
    "cniVersion": "1.0.0",
    "name": "net",
    "type": "macvlan",
    "ipam": {"type": "host-local"},
}
# As plugins 0.9.0 say, which Debian 11 has, and 1.1.1, which Debian 12 has.
DEBIAN_11 = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0")
DEBIAN_12 = (*DEBIAN_11, "1.0.0")
# Says which versions it knows, and repeats what else it was given.
PLUGIN = """\
#!/bin/sh
if [ "$CNI_COMMAND" = VERSION ]; then
    printf '%s' '{said}'
    exit {code}
fi
exec cat
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host_plugins, "FOLDERS", (str(tmp_path),))
    return tmp_path


def put(folder: Path, name: str, *known: str, said: str = "", code: int = 0) -> None:
    program = folder / name
    text = said or json.dumps({"cniVersion": "1.0.0", "supportedVersions": known})
    program.write_text(PLUGIN.format(said=text, code=code))
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("first", "second", "spoken"),
    [
        (DEBIAN_12, DEBIAN_12, "1.0.0"),
        ((*DEBIAN_12, "1.1.0"), (*DEBIAN_12, "1.1.0"), "1.0.0"),
        (DEBIAN_11, DEBIAN_11, "0.4.0"),
        (DEBIAN_12, DEBIAN_11, "0.4.0"),
        (("0.10.0", "0.9.0"), ("0.9.0", "0.10.0"), "0.10.0"),
    ],
    ids=["as the file", "newer ones", "older ones", "one of them older", "as numbers"],
)
def test_plugins_are_spoken_to_in_the_latest_that_all_know(
    folder: Path, first: tuple[str, ...], second: tuple[str, ...], spoken: str
) -> None:
    put(folder, "macvlan", *first)
    put(folder, "host-local", *second)
    text = json.dumps(FILE)
    assert host_plugins.version(text) == spoken
    # Everything but the version is as the file has it.
    assert host_plugins.chain(text, spoken) == [{**FILE, "cniVersion": spoken}]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (("1.1.0", "x"), "host-local knows 1.1.0"),
        ((), "host-local knows none"),
    ],
    ids=["only newer", "nothing"],
)
def test_what_each_knows_is_said_where_they_have_none_in_common(
    folder: Path, known: tuple[str, ...], words: str
) -> None:
    put(folder, "macvlan", *DEBIAN_12)
    put(folder, "host-local", *known)
    with pytest.raises(Failed, match=r"no version of CNI up to 1\.0\.0 is known to all") as failed:
        host_plugins.version(json.dumps(FILE))
    assert words in str(failed.value)


@pytest.mark.parametrize(("said", "code"), [("no JSON", 0), ("{}", 1)], ids=["prose", "refuses"])
def test_one_that_does_not_say_knows_none(folder: Path, said: str, code: int) -> None:
    put(folder, "macvlan", *DEBIAN_12)
    put(folder, "host-local", said=said, code=code)
    with pytest.raises(Failed, match="host-local knows none"):
        host_plugins.version(json.dumps(FILE))
