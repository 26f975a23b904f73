"""The files in which ``check`` keeps its run, as its options name them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from underlay.cli.console import err
from underlay.cli.probing import metrics_writer
from underlay.cli.to_write import refuse_misplaced
from underlay.errors import BadInput, UnderlayError, reason
from underlay.proof.runs.unrecorded import Unrecorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from underlay.cluster.state.lab import LabState
    from underlay.lint import Loaded
    from underlay.proof.choice import Choice
    from underlay.proof.runs.saving import Source
    from underlay.proof.runs.schema import Run


@contextmanager
def recorded_in(
    save: Path | None,
    junit: Path | None,
    html: Path | None = None,
    *,
    metrics: Callable[[Run], None] | None = None,
    of: Literal["running", "files"],
    strict: bool,
    choice: Choice,
    before: tuple[str, Run] | None = None,
    wanted: bool = False,
) -> Iterator[Unrecorded]:
    """Yield what takes a run in, and have it kept however it ends; in ``junit`` as XML.

    A page in ``html`` compares it with the run ``before``, which comes with its file. ``metrics``
    is handed it, too. It is taken in as well where it is ``wanted`` for something else. Raises
    BadInput where a file can't be written, before anything is measured.
    """
    if not (save or junit or html or metrics or wanted):
        yield Unrecorded()
        return
    from underlay.proof.runs import schema
    from underlay.proof.runs.file import write_run
    from underlay.proof.runs.recording import Recording, recorded

    writers: list[Callable[[Run], None]] = []
    if save is not None:
        writers.append(_writer("--save", save, write_run))
    if junit is not None:
        writers.append(_writer("--junit", junit, _write_junit))
    if html is not None:
        writers.append(_writer("--html", html, _html_writer(before)))
    if metrics is not None:
        writers.append(metrics)
    chosen = schema.Choice(only=choice.only, without=choice.without, protocols=choice.protocols)
    run = Recording(
        writers, of=of, strict=strict, choice=chosen, wanted=wanted, captures=save is not None
    )
    with recorded(run, err.print):
        yield run


def baseline_of(file: Path | None) -> Run | None:
    """Return the run that others are compared with; raise BadInput where there is none."""
    if file is None:
        return None
    from underlay.proof.runs.comparison import usable
    from underlay.proof.runs.file import read_run

    return usable(read_run(file.expanduser()), file)


def _write_junit(run: Run, path: Path) -> None:
    from underlay.report.junit import junit_text
    from underlay.report.run import Told
    from underlay.storage.writing import write_whole

    write_whole(path, junit_text(Told(run)))


def _html_writer(before: tuple[str, Run] | None) -> Callable[[Run, Path], None]:
    """Return what writes the page of a run: at first, to see that it can be, and at the end."""
    written = False

    def write(run: Run, path: Path) -> None:
        nonlocal written
        if written and run.reached != "the end" and run.error is None:
            return
        from underlay.proof.runs.comparison import compare
        from underlay.report.run import Told
        from underlay.report.run_page.page import page_text
        from underlay.storage.writing import write_whole

        compared = compare(before[1], run, before[0]) if before and written else None
        write_whole(path, page_text(Told(run, compared)))
        written = True

    return write


def metrics_to(output: Path | None, asked: str | None = None) -> Callable[[Run], None]:
    """Return what writes the metrics of a run; raise BadInput where it can't be written.

    ``asked`` is the lab that the command line names, which may not be up.
    """
    write = metrics_writer(output, asked)
    return _writer("--output", output or Path("/dev/stdout"), write)


def _writer(option: str, path: Path, write: Callable[[Run, Path], None]) -> Callable[[Run], None]:
    """Return what writes a run to ``path``; raise BadInput where nothing can be written there."""
    path = path.expanduser().absolute()
    refuse_misplaced(option, path)
    first = True

    def written(run: Run) -> None:
        nonlocal first
        try:
            write(run, path)
        except OSError as error:
            if first:
                why = reason(error)
                raise BadInput(f"{option} {path}: it can't be written: {why}") from error
            raise
        first = False

    return written


def source_of_file(loaded: Loaded) -> Source:
    """Return where the lab of a file is from."""
    from underlay.proof.runs.saving import Source

    return Source(str(loaded.file), loaded.text.content, loaded.plan)


def source_of(state: LabState) -> Source:
    """Return where a running lab is from; without a text where its file leads elsewhere by now."""
    from underlay.lint import load
    from underlay.proof.runs.saving import Source

    plan = state.plan()
    try:
        now = load(Path(state.file))
    except UnderlayError:
        return Source(state.file, "", plan)
    same = now.plan.without_intent == plan.without_intent
    return Source(state.file, now.text.content if same else "", plan)
