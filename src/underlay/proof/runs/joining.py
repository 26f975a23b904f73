"""Several runs as one: the shards of a folder's labs, or runs of different labs.

A lab whose shard is missing is there as one that wasn't measured, so that no report of the whole
looks better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from underlay.errors import BadInput
from underlay.proof.runs.schema import Run, SavedError, SavedLab

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from underlay.proof.runs.schema import DealtLab, Reached

END: Reached = "the end"
Kept = tuple["Path", Run]


@dataclass(frozen=True)
class Joined:
    """One run of several, and a line about each shard that is ``missing``."""

    run: Run
    missing: tuple[str, ...] = ()


def joined(kept: Sequence[Kept]) -> Joined:
    """Return runs and the files that they are kept in as one run; a single one as it is.

    Raises BadInput, with the files' names, where two are of the same lab or shard, are shards of
    different folders, or were judged differently.
    """
    _refuse_mixed(kept)
    table = _table(kept)
    missing = _missing(kept, table)
    if len(kept) == 1 and not missing:
        return Joined(kept[0][1])
    labs = _labs(kept)
    _add_unmeasured(labs, kept, table)
    order = [one.lab for one in table]
    every = [labs[name] for name in {**dict.fromkeys(order), **labs} if name in labs]
    runs = [run for _, run in kept]
    early = next(((file, run) for file, run in kept if run.reached != END), None)
    return Joined(
        Run(
            began=min(run.began for run in runs),
            until=max(run.until for run in runs),
            of="files",
            reached=early[1].reached if early else END,
            error=_ended(*early) if early else None,
            strict=runs[0].strict,
            choice=runs[0].choice,
            kernel=_each(run.kernel for run in runs),
            versions={
                part: _each(run.versions.get(part, "") for run in runs)
                for part in dict.fromkeys(chain.from_iterable(run.versions for run in runs))
            },
            boots=sum(run.boots for run in runs),
            timings=_sum(run.timings for run in runs),
            labs=tuple(every),
        ),
        missing,
    )


def _refuse_mixed(kept: Sequence[Kept]) -> None:
    """Raise BadInput for runs that can't be told as one."""
    first, one = kept[0]
    for file, run in kept[1:]:
        for what, same in (
            ("--strict", run.strict == one.strict),
            ("--only, --not or --protocol", run.choice == one.choice),
        ):
            if not same:
                raise BadInput(f"{first} and {file} can't be joined: one was measured with {what}")
    _refuse_mixed_shards(kept)


def _refuse_mixed_shards(kept: Sequence[Kept]) -> None:
    """Raise BadInput for shards beside other runs, of other numbers, and for two of one number."""
    sharded = [file for file, run in kept if run.shard is not None]
    whole = [file for file, run in kept if run.shard is None]
    if sharded and whole:
        raise BadInput(
            f"{sharded[0]} is a shard, and {whole[0]} isn't one",
            hint="give the shards of one folder, or runs of different labs",
        )
    known: dict[int, Path] = {}
    for file, run in kept:
        if run.shard is None:
            continue
        reference = kept[0][1].shard
        if reference is not None and run.shard.of != reference.of:
            raise BadInput(
                f"{kept[0][0]} is one of {reference.of} shards, and {file} one of {run.shard.of}",
                hint="give the shards of one folder",
            )
        if run.shard.number in known:
            raise BadInput(
                f"shard {run.shard.number}/{run.shard.of} is in {known[run.shard.number]} and in"
                f" {file}",
                hint="give each shard once: two measurements of a lab can't both be told",
            )
        known[run.shard.number] = file


def _table(kept: Sequence[Kept]) -> tuple[DealtLab, ...]:
    """Return which lab is whose, as all shards say; nothing where none of them knows."""
    told = [(file, run.shard) for file, run in kept if run.shard is not None and run.shard.labs]
    if not told:
        return ()
    first, reference = told[0]
    wanted = {one.lab: (one.plan, one.shard) for one in reference.labs}
    for file, shard in told[1:]:
        found = {one.lab: (one.plan, one.shard) for one in shard.labs}
        if found != wanted:
            names = [name for name in {**wanted, **found} if wanted.get(name) != found.get(name)]
            raise BadInput(
                f"{first} and {file} are shards of different folders: {names[0]} isn't the same",
                hint="measure all shards of the same commit, by the same Underlay",
            )
    return reference.labs


def _missing(kept: Sequence[Kept], table: Iterable[DealtLab]) -> tuple[str, ...]:
    shard = kept[0][1].shard
    if shard is None:
        return ()
    there = {run.shard.number for _, run in kept if run.shard is not None}
    lines = []
    for number in range(1, shard.of + 1):
        if number not in there:
            names = ", ".join(one.lab for one in table if one.shard == number)
            lines.append(f"shard {number}/{shard.of} is missing{f': {names}' if names else ''}")
    return tuple(lines)


def _labs(kept: Sequence[Kept]) -> dict[str, SavedLab]:
    labs: dict[str, SavedLab] = {}
    where: dict[str, Path] = {}
    for file, run in kept:
        for lab in run.labs:
            if lab.lab in labs:
                raise BadInput(
                    f"the lab {lab.lab} is in {where[lab.lab]} and in {file}",
                    hint="give each lab once; --baseline compares two runs of it",
                )
            labs[lab.lab], where[lab.lab] = lab, file
    return labs


def _add_unmeasured(
    labs: dict[str, SavedLab], kept: Sequence[Kept], table: Iterable[DealtLab]
) -> None:
    """Add what of ``table`` no run is of, as labs that weren't measured, with the reason."""
    by_number = {run.shard.number: (file, run) for file, run in kept if run.shard is not None}
    of = kept[0][1].shard.of if kept[0][1].shard else 0
    provider = next((lab.provider for lab in labs.values()), "")
    for one in table:
        if one.lab in labs:
            continue
        why = f"shard {one.shard}/{of} is missing"
        if one.shard in by_number:
            why = _ended(*by_number[one.shard]).message
        labs[one.lab] = SavedLab(
            lab=one.lab,
            file=one.file,
            text="",
            plan=one.plan,
            provider=provider,
            error=SavedError(message=why),
        )


def _ended(file: Path, run: Run) -> SavedError:
    """Return why a run ended early, with the file that says so."""
    error = run.error or SavedError(message="it was killed")
    return error.model_copy(update={"message": f"{file}: {error.message}"})


def _each(words: Iterable[str]) -> str:
    """Return words as one, each of them once."""
    return ", ".join(dict.fromkeys(word for word in words if word))


def _sum(timings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the seconds of each phase on all machines together."""
    found: dict[str, float] = {}
    for phases in timings:
        for phase, seconds in phases.items():
            found[phase] = round(found.get(phase, 0.0) + seconds, 3)
    return found
