"""Reports: a verdict as text for people or as JSON; no judgement of their own."""

from underlay.report.document import document

__all__ = ["document"]
