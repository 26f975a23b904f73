"""Labs measured in shares, and the runs of the shares joined to one that hides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from underlay.cli import main
from underlay.errors import BadInput
from underlay.lint import Loaded, load
from underlay.plan import Plan
from underlay.proof.result import LabResult
from underlay.proof.runs.file import read_run, run_text, write_run
from underlay.proof.runs.joining import joined
from underlay.proof.runs.saving import saved
from underlay.proof.runs.schema import DealtLab, Run, SavedError, Shard
from underlay.proof.shards import dealt, seconds_of
from underlay.report.run import Told
from unit.proof import test_runs as runs
from unit.proof.test_runs import LABS, interrupt, run_of, seen, source
from unit.report.test_report import plan_of

home = runs.home
proven = runs.suite
SOME = ("flat", "coreos", "shim", "intent", "vlan-ports", "bond", "address-plan", "filter-router")


@pytest.fixture(scope="module")
def labs() -> list[Loaded]:
    return [load(LABS / f"{name}.yml") for name in SOME]


def where(shares: list[list[Loaded]]) -> dict[str, int]:
    return {one.plan.lab: number for number, share in enumerate(shares) for one in share}


@pytest.mark.parametrize("of", [1, 2, 3, len(SOME)])
@pytest.mark.parametrize("provider", ["uml", "libvirt"])
def test_each_lab_is_in_one_share_and_no_share_is_empty(
    labs: list[Loaded], of: int, provider: str
) -> None:
    shares = dealt(labs, of, provider)
    assert len(shares) == of
    assert all(shares)
    assert sorted(one.plan.lab for share in shares for one in share) == sorted(SOME)
    # However the folder was listed, each machine comes to the same.
    assert where(dealt(labs[::-1], of, provider)) == where(shares)


def test_shares_are_even_and_one_more_lab_moves_few(labs: list[Loaded]) -> None:
    shares = dealt(labs, 3, "libvirt")
    spent = [sum(seconds_of(one.plan) for one in share) for share in shares]
    longest = max(seconds_of(one.plan) for one in labs)
    assert max(spent) < sum(spent) / 3 + longest
    moved = []
    for left in range(len(labs)):
        fewer = where(dealt(labs[:left] + labs[left + 1 :], 3, "libvirt"))
        moved.append(sum(where(shares)[name] != place for name, place in fewer.items()))
    assert sum(moved) / len(moved) <= 2


def test_more_shares_than_labs_are_refused(labs: list[Loaded]) -> None:
    with pytest.raises(BadInput, match="there are 2 labs, expected at least one for each of 3"):
        dealt(labs[:2], 3, "uml")


def folder_of(folder: Path, names: tuple[str, ...] = ("flat", "coreos", "shim", "intent")) -> Path:
    (folder / "labs").mkdir()
    for name in names:
        text = (LABS / f"{name}.yml").read_text()
        (folder / "labs" / f"{name}.yml").write_text(text)
    return folder / "labs"


def shard_files(
    folder: Path, count: int, capsys: pytest.CaptureFixture[str], code: int = 0
) -> list[str]:
    """Return the files of all shards of a folder, once each has been measured."""
    there = folder_of(folder)
    files = [str(folder / f"run-{n}.json") for n in range(1, count + 1)]
    for number, file in enumerate(files, 1):
        assert main(["check", str(there), "--shard", f"{number}/{count}", "--save", file]) == code
        assert f"shard {number}/{count}: " in capsys.readouterr().err
    return files


def test_shards_joined_are_the_run_of_the_folder(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = shard_files(tmp_path, 2, capsys)
    whole = tmp_path / "whole.json"
    assert main(["check", str(tmp_path / "labs"), "--save", str(whole)]) == 0
    capsys.readouterr()
    assert main(["report", *files[::-1], "--save", str(tmp_path / "run.json")]) == 0
    out, err = capsys.readouterr()
    assert "4 labs as expected" in out
    assert err == ""
    made, wanted = read_run(tmp_path / "run.json"), read_run(whole)

    def known(run: Run) -> dict[str, Any]:
        return {one.lab: (one.cells, one.text, one.plan, one.outcomes) for one in run.labs}

    assert known(made) == known(wanted)
    assert [one.lab for one in made.labs] == [one.lab for one in wanted.labs]
    assert (made.reached, made.error, made.shard) == ("the end", None, None)
    # The whole compared with its shards is the same.
    words = ["report", *files, "--baseline", str(whole)]
    assert main(words) == 0


def test_a_missing_shard_is_named_and_its_labs_are_not_measured(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = shard_files(tmp_path, 3, capsys)
    lost = [one.lab for one in read_run(Path(files[1])).labs]
    for given in ([files[0], files[2]], files[:1]):
        assert main(["report", *given, "--save", str(tmp_path / "run.json")]) == 3
        out, err = capsys.readouterr()
        assert f"shard 2/3 is missing: {', '.join(lost)}" in err
        for lab in lost:
            assert f"{lab}: not measured: shard 2/3 is missing" in out
    assert "shard 3/3 is missing" in err
    told = Told(joined([(Path(one), read_run(Path(one))) for one in (files[0], files[2])]).run)
    assert told.exit_code == 3
    assert main(["report", *files[:2], "--format", "nagios"]) == 3
    assert "UNKNOWN" in capsys.readouterr().out
    # What was joined without it says so ever after.
    assert "shard 2/3 is missing" in run_text(read_run(tmp_path / "run.json"))
    assert main(["report", *files[:2], "--baseline", files[0]]) == 3


def test_a_shard_that_differs_or_ended_early_is_told_as_that(
    proven: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = shard_files(tmp_path, 2, capsys)
    proven.during = staticmethod(interrupt)
    words = ["check", str(tmp_path / "labs"), "--shard", "2/2", "--save", files[1]]
    assert main(words) == 130
    capsys.readouterr()
    assert main(["report", *files]) == 0
    out, _ = capsys.readouterr()
    assert f"the run ended early, while bringing up: {files[1]}: interrupted" in out
    assert Told(joined([(Path(one), read_run(Path(one))) for one in files]).run).exit_code == 3
    proven.during, proven.wrong = staticmethod(lambda: None), 1
    assert main(words) == 1
    capsys.readouterr()
    assert main(["report", *files]) == 0
    assert "differ" in capsys.readouterr().out


def kept(folder: Path, name: str, run: Run) -> str:
    write_run(run, folder / name)
    return str(folder / name)


def shard(number: int, of: int, plan: Plan, *, other: str = "other", **more: Any) -> Run:
    """Return a shard of two labs, of which it has measured the one of its number."""
    names = ("shown", other)
    table = tuple(
        DealtLab(lab=name, file=f"{name}.yml", plan="1", shard=place)
        for place, name in enumerate(names, 1)
    )
    lab = saved(source(plan), LabResult(seen(plan)))
    lab = lab.model_copy(update={"lab": names[number - 1]})
    return run_of(lab, shard=Shard(number=number, of=of, labs=table), **more)


def refused(capsys: pytest.CaptureFixture[str], *files: str) -> str:
    capsys.readouterr()
    assert main(["report", *files]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_one_run_is_refused_with_both_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    one = kept(tmp_path, "one.json", shard(1, 2, plan))
    two = kept(tmp_path, "two.json", shard(2, 2, plan))
    assert main(["report", one, two]) == 0
    again = kept(tmp_path, "again.json", shard(1, 2, plan))
    assert f"shard 1/2 is in {one} and in {again}" in refused(capsys, one, two, again)
    third = kept(tmp_path, "third.json", shard(2, 3, plan))
    assert f"{one} is one of 2 shards, and {third} one of 3" in refused(capsys, one, third)
    alien = kept(tmp_path, "alien.json", shard(2, 2, plan, other="alien"))
    said = refused(capsys, one, alien)
    assert f"{one} and {alien} are shards of different folders: other isn't the same" in said
    strict = kept(tmp_path, "strict.json", shard(2, 2, plan, strict=True))
    assert f"{one} and {strict} can't be joined" in refused(capsys, one, strict)
    whole = kept(tmp_path, "whole.json", run_of(saved(source(plan), LabResult(seen(plan)))))
    assert f"{one} is a shard, and {whole} isn't one" in refused(capsys, whole, one)
    assert f"the lab shown is in {whole} and in {whole}" in refused(capsys, whole, whole)


def test_runs_of_different_labs_are_joined_without_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    lab = saved(source(plan), LabResult(seen(plan)))
    one = kept(tmp_path, "one.json", run_of(lab, kernel="6.12", timings={"total": 2.0}))
    other = lab.model_copy(update={"lab": "other"})
    two = kept(tmp_path, "two.json", run_of(other, kernel="6.13", timings={"total": 3.0}))
    assert main(["report", one, two, "--save", str(tmp_path / "run.json")]) == 0
    run = read_run(tmp_path / "run.json")
    assert [one.lab for one in run.labs] == ["shown", "other"]
    assert (run.kernel, run.timings["total"]) == ("6.12, 6.13", 5.0)


def test_a_shard_that_read_no_lab_leaves_its_labs_unmeasured(tmp_path: Path) -> None:
    plan = plan_of()
    killed = run_of(shard=Shard(number=2, of=2), reached="reading files", error=None)
    killed = killed.model_copy(update={"error": SavedError(message="interrupted")})
    whole = joined([(Path("one.json"), shard(1, 2, plan)), (Path("two.json"), killed)])
    assert whole.missing == ()
    (other,) = [lab for lab in whole.run.labs if lab.lab == "other"]
    assert other.error is not None
    assert other.error.message == "two.json: interrupted"
    assert Told(whole.run).exit_code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["flat", "--shard", "1/2"], "found nothing at flat, expected a folder"),
        ([f"{LABS}x", "--shard", "1/2"], "did you mean"),
        ([str(LABS / "flat.yml"), "--shard", "1/2"], "found a file at"),
        (["--shard", "1/2"], "expected a folder"),
        ([str(LABS), "--shard", "5/4"], "there is no shard '5/4'"),
        ([str(LABS), "--shard", "half"], "there is no shard 'half'"),
        ([str(LABS), "--shard", "1/2", "--after", "reboot"], "can't be given with --after"),
    ],
)
def test_shards_that_make_no_sense_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--shard" in err


def test_a_shard_is_not_compared_for_others_labs_would_be_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    file = kept(tmp_path, "run.json", run_of(saved(source(plan), LabResult(seen(plan)))))
    assert main(["check", str(LABS), "--shard", "1/2", "--baseline", file]) == 2
    assert "underlay report run-*.json --baseline before.json" in capsys.readouterr().err


def test_a_run_without_shards_has_no_word_of_them() -> None:
    plan = plan_of()
    assert "shard" not in json.loads(run_text(run_of(saved(source(plan), LabResult(seen(plan))))))
