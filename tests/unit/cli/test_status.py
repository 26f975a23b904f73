"""What ``status`` shows of IPv6 addresses and external hosts, as text and as JSON."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import doc_pages
from underlay.cli.verbs import status
from underlay.cluster import providers
from underlay.lint.read import read_lab
from underlay.observe.evidence import Evidence
from underlay.plan import Plan, make_plan
from underlay.proof import lab as proof
from underlay.storage.paths import root


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the status of a lab with a router, as it is where nobody could be asked."""
    plan = make_plan(read_lab(root() / "labs" / "dual-stack-router.yml"))

    class Everybody:
        def states(self, plan: Plan, _: Path) -> dict[str, str]:
            return {node.name: "running" for node in plan.nodes}

    monkeypatch.setattr(providers, "provider", lambda _: Everybody())
    monkeypatch.setattr(proof, "look_into", lambda *_, **__: Evidence({}, {}))
    state: Any = SimpleNamespace(
        lab=plan.lab, provider="uml", folder=Path("/nowhere"), plan=lambda: plan
    )
    return status.describe(state)


def test_all_addresses_and_hosts_are_in_the_document(document: dict[str, Any]) -> None:
    first = document["containers"][0]
    assert first["addresses"][0] == first["address"]
    assert any(":" in address for address in first["addresses"])
    assert {"router"} == {host["name"] for host in document["hosts"]}
    assert {host["segment"] for host in document["hosts"]} <= {
        segment["name"] for segment in document["switch"]["segments"]
    }
    for host in document["hosts"]:
        assert any(":" in address for address in host["addresses"])
        assert host["port"].startswith(host["segment"])
        assert host["mac"]


def test_the_page_lists_the_fields_of_hosts(document: dict[str, Any]) -> None:
    wrong = doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "status.md", document, ("not_asked",))
    assert [line for line in wrong if "hosts" in line or "addresses" in line] == []


def test_they_are_shown(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    status._show(document)
    shown = capsys.readouterr().out
    for row in [*document["containers"], *document["hosts"]]:
        assert all(address in shown for address in row["addresses"])
    assert document["hosts"][0]["port"] in shown
    assert "\nhost " in shown
