"""The program's command line on the node.

    node            make the node what its own files say
    node --check    say what would be changed
    node --ready    say whether the node is what its files say, and runs
    node -          take files, {"files": {path: content}}, from standard input
    node --others   say which containers run that no plan knows, and what was put aside
    node --again W  do what happens in production, a word of again.py; a task on standard input
    node --engine   be docker or podman for a script of the user's own; see script.py

It prints one JSON document, and exits 1 where something failed.
"""

from __future__ import annotations

import json
import sys

# What a word needs is imported with it: of a start on a node, importing is most.


def main(words: list[str]) -> int:
    """Run with the command line ``words``; return the exit code."""
    if words == ["--ready"]:
        from .ready import statement

        said = statement()
        print(json.dumps(said))
        return 1 if said["failed"] else 0
    if words == ["--others"]:
        from .others import unplanned
        from .remember import recall

        print(json.dumps({"others": unplanned(), "notes": recall().notes}))
        return 0
    if words[:1] == ["--again"] and len(words) == 2:
        from .again import act

        done = act(words[1], json.load(sys.stdin))
        print(json.dumps(done))
        return 1 if done["failed"] else 0
    if words[:1] == ["--engine"]:
        from .script import engine

        return engine(words[1:])
    unknown = set(words) - {"-", "--check"}
    if unknown:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    from .program import converge

    sent = json.load(sys.stdin)["files"] if "-" in words else None
    report = converge(sent, check="--check" in words)
    for failure in report.failed:
        print(f"underlay: {failure}", file=sys.stderr)
    print(json.dumps(report.document()))
    return 1 if report.failed else 0
