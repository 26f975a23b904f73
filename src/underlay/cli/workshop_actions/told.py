"""Seats as the documents of ``workshop`` have them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from underlay.workshop.sign_in import user

if TYPE_CHECKING:
    from underlay.report.documents.workshop import GradedSeat, GradedStage, LastCheck, WatchedSeat
    from underlay.workshop.grading import Check, SeatGrade, StageGrade
    from underlay.workshop.standing import Standing


def utc(seconds: float) -> str:
    """Return a moment, in seconds since 1970, as ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def standing_document(one: Standing) -> WatchedSeat:
    """Return where a seat is."""
    here = one.stage
    return {
        "seat": user(one.number),
        "exercise": here.exercise if here else "",
        "title": one.title,
        "stage": here.number + 1 if here else 0,
        "stages": one.stages,
        "how": here.how if here else "not begun",
        "whole": one.whole,
        "finished": one.finished,
        "minutes": here.minutes if here else 0.0,
        "hints": here.hints if here else 0,
        "of_hints": here.of_hints if here else 0,
        "done": one.grade.own,
        "skipped": one.grade.skipped,
        "of": len(one.grade.stages),
        "last_check": _check(here.last_check) if here else None,
    }


def grade_document(one: SeatGrade) -> GradedSeat:
    """Return what a seat has done."""
    return {
        "seat": user(one.number),
        "done": one.own,
        "skipped": one.skipped,
        "of": len(one.stages),
        "hints": one.hints,
        "resets": one.resets,
        "minutes": round(one.minutes, 1),
        "stages": [_stage(stage) for stage in one.stages],
    }


def reasons(stage: StageGrade) -> list[str]:
    """Return why a stage isn't one's own: that it was skipped, and what the last check said."""
    found = ["skipped"] if stage.how == "skipped" else []
    return [*found, *(stage.last_check.reasons if stage.last_check else ())]


def _stage(stage: StageGrade) -> GradedStage:
    return {
        "exercise": stage.exercise,
        "stage": stage.number + 1,
        "title": stage.title,
        "how": stage.how,
        "hints": stage.hints,
        "of_hints": stage.of_hints,
        "checks": stage.checks,
        "resets": stage.resets,
        "wrong_answers": stage.wrong_answers,
        "minutes": stage.minutes,
        "noticed": list(stage.noticed),
        "reasons": reasons(stage),
        "last_check": _check(stage.last_check),
    }


def _check(check: Check | None) -> LastCheck | None:
    if check is None:
        return None
    return {
        "at": utc(check.time),
        "result": check.result,
        "red": check.red,
        "cells": list(check.cells),
        "broken": list(check.broken),
        "noticed": list(check.noticed),
        "unplanned": check.unplanned,
        "unsure": check.unsure,
    }
