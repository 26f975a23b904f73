"""The labs of a folder, as ``check DIR`` takes them: all of it, or one machine's share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cli.console import err
from underlay.cli.which_lab import SUFFIXES, resolve_lab
from underlay.errors import BadInput, UnderlayError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint import Loaded
    from underlay.proof.runs.unrecorded import Unrecorded

EXAMPLE = "underlay check labs --shard 1/4 --save run-1.json"


def files_of(what: str) -> list[Path]:
    """Return the lab files that ``what`` means: those directly in a folder, or the one of a lab."""
    folder = Path(what).expanduser()
    if not folder.is_dir():
        return [resolve_lab(what)]
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not files:
        from underlay.lint.loaded import END_IN

        raise BadInput(f"there is no lab file directly in {what}", hint=END_IN)
    return files


def read_all(files: Sequence[Path]) -> list[Loaded]:
    """Read all files, and say at once what is wrong with any of them."""
    from underlay.lint import load

    labs: dict[str, Loaded] = {}
    wrong = []
    for file in files:
        try:
            loaded = load(file)
        except UnderlayError as error:
            wrong.append("\n".join(filter(None, (error.message, error.detail))))
            continue
        name = loaded.plan.lab
        if name in labs:
            wrong.append(f"{file}: its name is {name}, as in {labs[name].file}")
        labs.setdefault(name, loaded)
    if wrong:
        raise BadInput("\n".join(wrong))
    return list(labs.values())


def shard_of(
    text: str | None, what: str | None, *, baseline: bool, after: bool
) -> tuple[int, int] | None:
    """Return K and N of ``--shard K/N``; None without it. Raise BadInput where it makes no sense.

    ``what`` is what ``check`` is given, and the others say which options are.
    """
    if text is None:
        return None
    from underlay.proof.parts import parse_part

    part = parse_part(text, what="shard", example=EXAMPLE)
    if what is None:
        raise BadInput("--shard is a share of a folder's labs, expected a folder", hint=EXAMPLE)
    folder = Path(what).expanduser()
    if not folder.is_dir():
        beside = folder.parent.glob("*") if folder.parent.is_dir() else ()
        folders = [str(each) for each in beside if each.is_dir()]
        found = "a file" if folder.exists() else "nothing"
        hint = did_you_mean(nearest(str(folder), folders)) or EXAMPLE
        raise BadInput(f"--shard {text}: found {found} at {what}, expected a folder", hint=hint)
    if baseline:
        raise BadInput(
            "--shard can't be given with --baseline: labs of other shards would be gone",
            hint="compare when all are there: underlay report run-*.json --baseline before.json",
        )
    if after:
        raise BadInput("--shard can't be given with --after, which is of one lab", hint=EXAMPLE)
    return part


def dealt_to(
    labs: list[Loaded], part: tuple[int, int], provider: str | None, run: Unrecorded
) -> list[Loaded]:
    """Return those of ``labs`` that share K of N measures, and have ``run`` say who measures what.

    Raises BadInput where there are fewer labs than shares.
    """
    from underlay.cluster.providers import DEFAULT
    from underlay.proof.runs.saving import digest
    from underlay.proof.runs.schema import DealtLab, Shard
    from underlay.proof.shards import dealt

    number, of = part
    run.of_shard(Shard(number=number, of=of))
    shares = dealt(labs, of, provider or DEFAULT)
    place = {one.plan.lab: n for n, share in enumerate(shares, 1) for one in share}
    table = tuple(
        DealtLab(
            lab=one.plan.lab,
            file=str(one.file),
            plan=digest(one.plan),
            shard=place[one.plan.lab],
        )
        for one in labs
    )
    run.of_shard(Shard(number=number, of=of, labs=table))
    mine = shares[number - 1]
    err.print(f"shard {number}/{of}: {len(mine)} of {len(labs)} labs")
    return mine
