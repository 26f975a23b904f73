"""The verb ``watch``: the matrix of a lab that is up, measured again and again."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, print_document_line
from underlay.cli.error_lines import error_lines
from underlay.cli.interrupt import reset_exit
from underlay.cli.options import AsJson, LabOption, NotOption, OnlyOption, ProtocolOption
from underlay.cli.which_lab import running_lab, running_state
from underlay.errors import EXIT_INTERRUPTED, EXIT_OK, BadInput, Infrastructure, UnderlayError

if TYPE_CHECKING:
    from underlay.cli.live_matrix import LiveMatrix
    from underlay.cli.served.work import Work
    from underlay.proof.watched import Measurement, Watch

GROUP = "Labs"
ORDER = 32

INTERVAL = 2.0
# Whoever breaks the lab, or asks it for something else, has his turn between two measurements.
LEAST = 0.5


def command(
    lab: LabOption = None,
    interval: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=LEAST, help="How long to wait between two measurements."
        ),
    ] = INTERVAL,
    times: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="End after so many measurements."),
    ] = None,
    only: OnlyOption = None,
    without: NotOption = None,
    protocol: ProtocolOption = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show it as a page, which this machine alone can open.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(metavar="P", min=1, max=65535, help="With --serve: at this port."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a running lab again and again, and show what changes.

    Each measurement is one that `underlay check` makes, of all cells; in another terminal the
    lab may be broken, mended and looked into meanwhile. On a terminal the matrix stays in its
    place, folded as that of `check`, and what changed since the last measurement flashes in it
    and is logged with its time: who asks whom, by what, and from what to what. Elsewhere each
    change is a plain line. With --json each measurement is one line with a JSON document.

    With --serve the same is a page in a browser, at an address that is printed and that holds a
    secret: with buttons that break the lab by a fault that is possible there, mend it, explain
    what differs, and trace a packet of the chosen cell. It listens on the loopback, and answers
    nobody who doesn't know the address. Nothing listens without --serve.

    It ends with Ctrl-C and exit code 130, or after --count measurements with the exit code that
    `check` would have for the last one. A lab that is stopped meanwhile ends it with 3.

    Example:
      underlay watch
      underlay watch --only 'lannet-*' --protocol icmp
      underlay watch --interval 10 --count 6
      underlay watch --serve
      underlay watch --json | jq -c '.changes[]'
    """
    from underlay.proof.choice import Choice
    from underlay.proof.watched import Watch

    if port is not None and not serve:
        raise BadInput("--port needs --serve: nothing listens otherwise")
    name = running_lab(lab)
    choice = Choice(tuple(only or ()), tuple(without or ()), tuple(protocol or ()))
    watch = Watch(lambda: running_state(name), choice)
    # What can't be chosen is said before anything is measured.
    _ = watch.lab
    told = _Told(name, watch)
    try:
        code = (
            told.serve(interval, times, port or 0, as_json=as_json)
            if serve
            else told.run(interval, times, as_json=as_json)
        )
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        reset_exit()
    except Infrastructure as error:
        if not as_json:
            raise
        # A line as every other document, too.
        print_document_line("error", {"error": error.message, "hint": error.hint})
        err.print(*error_lines(f"error: {error.message}", error.detail, error.hint), sep="\n")
        code = error.exit_code
    told.end()
    raise typer.Exit(code)


class _Told:
    """The measurements of one lab, told as they come: as JSON, as lines, or as a live matrix."""

    def __init__(self, lab: str, watch: Watch) -> None:
        self._lab, self._watch = lab, watch
        self._began = time.monotonic()
        self._measured = self._changed = 0
        self._code = EXIT_OK
        self._before: tuple[object, ...] = ()

    def run(self, interval: float, times: int | None, *, as_json: bool) -> int:
        """Measure until ``times`` is reached, or for ever; return the last one's exit code.

        A measurement that fails is told, and the next one is made: somebody may be at work on the
        lab. Raises Infrastructure where the lab isn't up any more.
        """
        live = out.is_terminal and not out.is_dumb_terminal and not as_json
        with _matrix(live=live) as shown:
            number = 0
            while True:
                number += 1
                self._once(shown, as_json=as_json)
                if number == times:
                    return self._code
                self._watch.ahead(interval)
                if shown is None:
                    time.sleep(interval)
                else:
                    shown.pause(interval)

    def serve(self, interval: float, times: int | None, port: int, *, as_json: bool) -> int:
        """Do the same for a page, and say where it is; raises what ``served`` raises as well."""
        from underlay.cli.served.board import Board
        from underlay.cli.served.server import served
        from underlay.cli.served.work import Work, ended

        board = Board()
        work = Work(self._watch, board)
        with served(board, work.page, port) as address:
            (err if as_json else out).print(f"{self._lab} is at {address} · Ctrl-C ends it")
            out.file.flush()
            try:
                number = 0
                while True:
                    number += 1
                    self._once(None, as_json=as_json, work=work)
                    if number == times:
                        return self._code
                    self._watch.ahead(interval)
                    work.wait(interval)
            finally:
                ended(board, "The command has ended: nothing is measured any more.")

    def end(self) -> None:
        """Say how much was measured in all, and measure no more."""
        from underlay.cli.live_matrix import ended

        self._watch.close()
        err.print(ended(self._measured, self._changed, time.monotonic() - self._began))

    def _once(self, shown: LiveMatrix | None, *, as_json: bool, work: Work | None = None) -> None:
        try:
            if work is not None:
                measurement = work.measure()
            else:
                measurement = self._watch.measure(shown.tell if shown else _silent)
        except BadInput as error:
            raise Infrastructure(
                f"{self._lab} isn't watched any more: {error.message}", hint=error.hint
            ) from error
        except UnderlayError as error:
            self._code = error.exit_code
            self._failed(error, shown, as_json=as_json)
            if work is not None:
                work.failed(error)
            return
        self._measured += 1
        self._changed += len(measurement.changes)
        self._code = measurement.verdict.exit_code
        if as_json:
            from underlay.report.watched import watched_document

            print_document_line("watch", watched_document(measurement))
        elif shown is not None:
            shown.show(measurement, self._watch.lab.prediction.plan)
        else:
            self._lines(measurement)

    def _lines(self, measurement: Measurement) -> None:
        """Print what changed, and how many cells are how by now where that isn't as it was."""
        from underlay.report.terminal import page_form
        from underlay.report.watched import lines, standing, sum_of

        _, ascii_only = page_form(out)
        for line in lines(measurement, ascii_only=ascii_only):
            out.print(line)
        stands = standing(measurement)
        if stands != self._before:
            out.print(sum_of(measurement, ascii_only=ascii_only))
        self._before = stands
        out.file.flush()

    def _failed(self, error: UnderlayError, shown: LiveMatrix | None, *, as_json: bool) -> None:
        if as_json:
            print_document_line("error", {"error": error.message, "hint": error.hint})
        words = f"not measured: {error.message}"
        if shown is None:
            err.print(words)
        else:
            shown.note(words)


def _matrix(*, live: bool) -> AbstractContextManager[LiveMatrix | None]:
    if not live:
        return nullcontext()
    from underlay.cli.live_matrix import shown

    return shown()


def _silent(_: str) -> None:
    """Say nothing: what is under way is no change."""
