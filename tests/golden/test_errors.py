"""Every way in which a lab file can be wrong, and the very words that say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.lint import lint
from underlay.lint.problems import READING
from underlay.lint.read import LabError, read_lab
from underlay.lint.rules import RULES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ERRORS = HERE / "errors"
CASES = sorted(path.stem for path in ERRORS.glob("*.yml"))

RULE_CASES = HERE / "rules"
IDS = sorted({rule.id for rule in RULES})

LINT = HERE / "lint"
LABS = sorted(
    str(path.relative_to(ROOT / "labs").with_suffix("")) for path in (ROOT / "labs").rglob("*.yml")
)

Golden = Callable[[Path, str], None]


@pytest.mark.parametrize("case", CASES)
def test_error(case: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRORS)
    with pytest.raises(LabError) as caught:
        read_lab(Path(f"{case}.yml"))
    golden(ERRORS / f"{case}.log", f"{caught.value.message}\n")


def test_no_orphan_log() -> None:
    assert {path.stem for path in ERRORS.glob("*.log")} <= set(CASES)


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 30


def test_every_kind_of_reading_error_has_a_case() -> None:
    logs = "".join(path.read_text(encoding="utf-8") for path in ERRORS.glob("*.log"))
    # These can't be kept as a text file in a repository; tests/unit/lab/test_reading.py makes them.
    elsewhere = {"unreadable-file", "not-text"}
    assert [kind for kind in sorted(set(READING) - elsewhere) if f"[{kind}]" not in logs] == []


@pytest.mark.parametrize("rule", IDS)
def test_rule(rule: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RULE_CASES)
    findings = lint(Path(f"{rule}.yml"))
    assert {finding.id for finding in findings} == {rule}
    golden(RULE_CASES / f"{rule}.log", "\n".join(f"{finding}\n" for finding in findings))


def test_no_orphan_rule() -> None:
    assert {path.stem for path in RULE_CASES.iterdir()} == set(IDS)


@pytest.mark.parametrize("lab", LABS)
def test_findings_of_our_labs(lab: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    findings = lint(Path(f"labs/{lab}.yml"))
    text = "\n".join(str(finding) for finding in findings)
    golden(LINT / f"{lab.replace('/', '-')}.log", f"{text}\n" if text else "no findings\n")


def test_no_orphan_findings() -> None:
    assert {path.stem for path in LINT.glob("*.log")} <= {lab.replace("/", "-") for lab in LABS}
