"""The verdict as the one JSON document that ``--json`` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from underlay.report.intent import intent_document
from underlay.report.live import live_document
from underlay.report.strangers import strangers_document
from underlay.report.unplanned import unplanned_document

if TYPE_CHECKING:
    from underlay.verdict import Cell, Verdict


def document(verdict: Verdict) -> dict[str, Any]:
    """Return ``verdict`` as JSON values.

    ``stopped_at``, ``answered_by`` and ``rtt_ms`` are null where there is nothing to
    say; ``expected`` and ``observed`` of a cell of kind ``value`` are a text or a list;
    ``timings`` are seconds by phase.
    """
    return {
        "lab": verdict.lab,
        "provider": verdict.provider,
        "summary": asdict(verdict.summary),
        "cells": [cell_document(cell) for cell in verdict.cells],
        "timings": dict(verdict.timings),
        "intent": intent_document(verdict),
        **unplanned_document(verdict),
        **strangers_document(verdict),
        **live_document(verdict),
    }


def cell_document(cell: Cell) -> dict[str, Any]:
    """Return one cell as JSON values."""
    return {
        "source": cell.source,
        "destination": cell.destination,
        "protocol": cell.protocol,
        "expected": cell.expected,
        "observed": cell.observed,
        "stopped_at": cell.stopped_at or None,
        "answered_by": cell.answered_by or None,
        "because": cell.because,
        "rule": cell.rule,
        "reference": cell.reference,
        "rtt_ms": cell.rtt_ms,
        "expected_stop": cell.expected_stop or None,
        "attempts": cell.attempts,
        "arrived": cell.arrived,
        "reason": cell.reason or None,
        "family": cell.family,
        "kind": cell.kind,
    }
