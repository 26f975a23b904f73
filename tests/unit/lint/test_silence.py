"""Findings that are silenced by comment, option or baseline: with a reason, and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.lint.silence import comments

NETWORK = """[Match]
Name=eth1

[Network]
{comment}
Address=192.168.70.11
Gateway=192.168.71.1
"""
LAB = """name: odd
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  lannet:
    driver: macvlan
    {above}
    parent: eth0 {beside}
    subnet: 10.1.0.0/24
containers:
  - {{on: all, count: 2, networks: [lannet]}}
"""
CNI = {
    "cniVersion": "1.0.0",
    "name": "lannet",
    "type": "macvlan",
    "master": "eth1",
    "mode": "brigde",
    "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def host(comment: str) -> list[str]:
    Path("a").mkdir(exist_ok=True)
    Path("a/10-eth1.network").write_text(NETWORK.format(comment=comment))
    return ["lint", "--host", "a=a"]


def report(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, dict]:  # type: ignore[type-arg]
    code = main([*arguments, "--json"])
    return code, json.loads(capfd.readouterr().out)


def ids(rows: list[dict[str, str]]) -> list[str]:
    return [row["id"] for row in rows]


def test_without_a_comment_it_counts(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = report(host("# a point-to-point link"), capfd)
    assert (code, ids(said["findings"]), said["silenced"]) == (1, ["networkd-address"], [])


def test_a_comment_holds_for_the_line_below(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = host("# underlay: ignore networkd-address: a point-to-point link")
    code, said = report(arguments, capfd)
    assert (code, said["findings"]) == (0, [])
    (row,) = said["silenced"]
    assert (row["id"], row["by"], row["because"]) == (
        "networkd-address", "comment", "a point-to-point link",
    )  # fmt: skip
    assert said["summary"] == {"errors": 0, "warnings": 0, "silenced": 1}
    assert main(arguments) == 0
    assert "1 host, 1 file: 0 errors, 0 warnings, 1 silenced" in capfd.readouterr().out


def test_a_comment_elsewhere_silences_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = host("# underlay: ignore networkd-gateway: another rule")
    assert ids(report(arguments, capfd)[1]["findings"]) == ["networkd-address"]
    text = Path("a/10-eth1.network").read_text()
    moved = f"# underlay: ignore networkd-address: too far above\n{text}"
    Path("a/10-eth1.network").write_text(moved)
    assert ids(report(arguments, capfd)[1]["findings"]) == ["networkd-address"]


def test_a_comment_for_the_whole_file(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = host("")
    text = Path("a/10-eth1.network").read_text()
    head = "# underlay: ignore-file networkd-address: a point-to-point link\n"
    Path("a/10-eth1.network").write_text(head + text)
    assert report(arguments, capfd)[1]["findings"] == []


def test_without_a_reason_it_counts(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = report(host("# underlay: ignore networkd-address"), capfd)
    assert (code, ids(said["findings"])) == (1, ["ignore-no-reason", "networkd-address"])


def test_json_has_a_value_for_a_comment(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a").mkdir()
    reason = "underlay: ignore cni-mode-unknown: a plugin of our own"
    Path("a/20-lannet.conf").write_text(json.dumps({"_comment": reason, **CNI}, indent=2))
    code, said = report(["lint", "--host", "a=a"], capfd)
    assert (code, ids(said["silenced"])) == (0, ["cni-mode-unknown"])


def test_option(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*host(""), "--ignore", "networkd-address: measured, it works"]
    code, said = report(arguments, capfd)
    (row,) = said["silenced"]
    assert (code, row["by"], row["because"]) == (0, "option", "measured, it works")


def test_option_with_a_rule_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*host(""), "--ignore", "networkd-adress"]) == 2
    assert "did you mean networkd-address?" in capfd.readouterr().err


def test_baseline_holds_what_was_and_not_what_comes(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = host("")
    assert main([*arguments, "--json"]) == 1
    Path("baseline.json").write_text(capfd.readouterr().out)
    known = [*arguments, "--baseline", "baseline.json"]
    text = Path("a/10-eth1.network").read_text()
    Path("a/10-eth1.network").write_text(f"# one line more\n{text}")
    code, said = report(known, capfd)
    assert (code, ids(said["silenced"]), said["silenced"][0]["by"]) == (
        0, ["networkd-address"], "baseline",
    )  # fmt: skip
    Path("a/10-eth1.network").write_text(text.replace("=192.168.70.11", "=192.168.70.12"))
    assert ids(report(known, capfd)[1]["findings"]) == ["networkd-address"]


@pytest.mark.parametrize("content", ["", "[]", '{"findings": 3}'])
def test_no_baseline(content: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("baseline.json").write_text(content)
    assert main([*host(""), "--baseline", "baseline.json"]) == 2
    assert "baseline" in capfd.readouterr().err


def test_labs_have_comments_too(capfd: pytest.CaptureFixture[str]) -> None:
    rule = "underlay: ignore management-master: the NAT device is what we look at"
    for above, beside, left in (("", "", 1), (f"# {rule}", "", 0), ("", f"# {rule}", 0)):
        Path("odd.yml").write_text(LAB.format(above=above, beside=beside))
        _, said = report(["lint", "odd.yml"], capfd)
        assert ids(said["findings"]).count("management-master") == left, said


def test_formats_tell_of_what_is_silenced(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = host("# underlay: ignore networkd-address: a point-to-point link")
    assert main([*arguments, "--format", "github"]) == 0
    assert "::notice title=silenced::1 finding silenced: " in capfd.readouterr().out
    assert main([*arguments, "--format", "sarif"]) == 0
    (run,) = json.loads(capfd.readouterr().out)["runs"]
    assert run["results"] == []
    assert "silenced" in str(run["invocations"])


def test_comments_say_where_they_hold() -> None:
    text = (
        "a: 1  # underlay: ignore one-rule: why\n\n; underlay: ignore two: why not\n# more\nb: 2\n"
    )
    found = [(each.rule, each.reason, each.lines) for each in comments(text)]
    assert found == [("one-rule", "why", (1,)), ("two", "why not", (3, 5))]
