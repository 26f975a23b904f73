"""From a plan to files: runs the playbook ``ansible/render.yml``, and knows nothing of the files.

What a node's files say is decided by the roles in ``ansible/`` and the template
in ``cloud-config/``. This module only starts Ansible, in a folder of its own,
and puts the finished tree where it was asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.errors import BadInput, Infrastructure, reason
from underlay.plan.values import Plan
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARKER = ".underlay-rendered"
# s, and more for each node than the first: eight labs of five took over three minutes where some
# twenty processes shared two processors.
DEADLINE = 120.0
DEADLINE_PER_NODE = 10.0
# As a module: the first lines of pip's script hold its environment's path, which a shell reads.
PLAYBOOK = "ansible.cli.playbook"
SOURCES = ("ansible", "cloud-config")
# The node program and what runs it are no part of the files that it is given.
NOT_RENDERING = {"__pycache__", "module_utils", "node_files.py", "converge.yml"}
MESSAGE_LINES = 15
# Rendered labs that the cache keeps: a copy of one is some hundred kilobytes at most.
KEPT = 100
# s; what was used since may still be needed by whoever asked for it.
RECENT = 3600.0

# ansible-runner ends a late or interrupted command by SIGKILL, which Ansible's workers
# survive: they have sessions of their own. By SIGTERM it takes them along. So timeout(1)
# keeps the deadline, and setpriv(1) passes its sudden death on.
LATE = 124
KILLED = 137


def render(plan: Plan, authorized_key: str, output: Path) -> None:
    """Make ``output`` hold the files of every node of ``plan``, and nothing else.

    ``authorized_key`` is the public key, one line, that may log in to the nodes.
    A failed render leaves ``output`` as it was. Raises BadInput where ``output``
    holds files that this function didn't make, Infrastructure where Ansible
    fails or takes longer than ``deadline_for`` says.
    """
    refuse_foreign(output)
    with _beside(output) as fresh:
        _run_playbook(plan, authorized_key, fresh)
        _swap(fresh, output)


def render_cached(plan: Plan, authorized_key: str, output: Path, cache: Path) -> bool:
    """Do as ``render``, but copy from ``cache`` what was rendered before.

    Returns whether the files came from the cache. Its entries are named by
    ``content_hash``, so an entry is never out of date.
    """
    refuse_foreign(output)
    entry = cache / content_hash(plan, authorized_key)
    cached = _used(entry)
    if not cached:
        _render_into(cache, plan, authorized_key, entry)
        _forget_oldest(cache)
    copy_rendered(entry, output)
    return cached


def render_all(plans: Sequence[Plan], authorized_key: str, cache: Path) -> list[Path]:
    """Return the entry of ``cache`` that holds each plan's files, in the plans' order.

    Ansible renders all missing ones in one run; the plans' labs must have names of their own.
    Raises Infrastructure as ``render`` does.
    """
    hashes = _content_hashes(plans, authorized_key)
    entries = [cache / digest for digest in hashes]
    missing = {
        plan.lab: (plan, entry)
        for plan, entry in zip(plans, entries, strict=True)
        if not _used(entry)
    }
    if missing:
        with _beside(cache / "all") as fresh:
            _run_playbook([plan for plan, _ in missing.values()], authorized_key, fresh)
            for lab, (_, entry) in missing.items():
                shutil.copyfile(fresh / MARKER, fresh / lab / MARKER)
                _swap(fresh / lab, entry)
        _forget_oldest(cache, len(plans))
    return entries


def copy_rendered(entry: Path, output: Path) -> None:
    """Make ``output`` hold the files of an ``entry`` of the cache; raises as ``render`` does."""
    refuse_foreign(output)
    with _beside(output) as fresh:
        shutil.copytree(entry, fresh, dirs_exist_ok=True)
        _swap(fresh, output)


def _used(entry: Path) -> bool:
    """Return whether the cache has this entry; one that is used isn't old."""
    if not (entry / MARKER).is_file():
        return False
    # A cache that can only be read serves as well; its entries just don't get younger.
    with suppress(OSError):
        os.utime(entry)
    return True


def _render_into(cache: Path, plan: Plan, authorized_key: str, entry: Path) -> None:
    """Render a new entry; that the cache can't take it is the machine's fault, not the user's."""
    try:
        render(plan, authorized_key, entry)
    except BadInput as error:
        hint = f"make {cache} writable, or set XDG_CACHE_HOME to another folder"
        raise Infrastructure(error.message, hint=hint) from error


def _forget_oldest(cache: Path, asked: int = 1) -> None:
    """Remove all but the entries of ``cache`` that were used last; keep all just ``asked`` for."""
    used: dict[Path, float] = {}
    for path in cache.iterdir():
        if not path.name.startswith("."):
            with suppress(FileNotFoundError):  # another command has just removed it
                used[path] = path.stat().st_mtime
    for entry in sorted(used, key=lambda one: used[one], reverse=True)[max(KEPT, asked) :]:
        if time.time() - used[entry] > RECENT:
            shutil.rmtree(entry, ignore_errors=True)


def content_hash(plan: Plan, authorized_key: str) -> str:
    """Return a hash (64 hex digits) of all that the rendered files depend on."""
    return _content_hashes([plan], authorized_key)[0]


def _content_hashes(plans: Sequence[Plan], authorized_key: str) -> list[str]:
    """Return the ``content_hash`` of each plan, having read the roles once."""
    root = paths.root()
    common = hashlib.sha256()
    for path in sorted(p for name in SOURCES for p in (root / name).rglob("*") if p.is_file()):
        if not NOT_RENDERING.intersection(path.parts):
            content = path.read_bytes()
            common.update(f"{path.relative_to(root)}:{len(content)}:".encode() + content)
    found = []
    for plan in plans:
        digest = common.copy()
        for text in (version("ansible-core"), version("jinja2"), plan.to_json(), authorized_key):
            digest.update(f"{len(text)}:{text}".encode())
        found.append(digest.hexdigest())
    return found


def cached_entry(plan: Plan, authorized_keys: Sequence[str], cache: Path) -> Path | None:
    """Return the entry of ``cache`` with the files of ``plan`` for one of the keys, if any."""
    for key in authorized_keys:
        entry = cache / content_hash(plan, key)
        if (entry / MARKER).is_file():
            return entry
    return None


def rendered_files(output: Path) -> list[Path]:
    """Return the files under ``output``, relative to it and sorted, without the marker."""
    found = (path for path in output.rglob("*") if path.is_file() and path.name != MARKER)
    return sorted(path.relative_to(output) for path in found)


def refuse_foreign(output: Path) -> None:
    """Raise BadInput where ``output`` exists and may not be replaced by rendered files."""
    try:
        is_else = output.is_symlink() or (output.exists() and not output.is_dir())
        holds = output.is_dir() and any(output.iterdir()) and not (output / MARKER).is_file()
    except OSError as error:
        raise BadInput(f"cannot write {output}: {reason(error)}") from error
    if is_else:
        raise BadInput(f"{output} is not a folder", hint="choose another with --output")
    if holds:
        raise BadInput(
            f"{output} holds files that were not rendered by underlay (it lacks {MARKER})",
            hint="choose an empty or a new folder with --output",
        )


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Yield a new, empty folder on ``output``'s file system; afterwards it is gone."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {output}: {reason(error)}") from error
    with ExitStack() as stack:
        try:
            fresh = stack.enter_context(temporary.beside(output))
        except OSError as error:
            raise BadInput(f"cannot write {output}: {reason(error)}") from error
        try:
            yield fresh
        except OSError as error:
            raise Infrastructure(f"cannot write {output}: {reason(error)}") from error


def _swap(fresh: Path, output: Path) -> None:
    """Put ``fresh`` in ``output``'s place; a failure leaves ``output`` as it was."""
    fresh.chmod(0o755)
    if not output.exists():
        fresh.rename(output)
        return
    with _beside(output) as aside:
        old = output.rename(aside / output.name)
        try:
            fresh.rename(output)
        except OSError:
            old.rename(output)
            raise


def deadline_for(plans: Sequence[Plan]) -> float:
    """Return the seconds that rendering may take: Ansible does each task for every node."""
    return DEADLINE + DEADLINE_PER_NODE * (sum(len(plan.nodes) for plan in plans) - 1)


def _run_playbook(plan: Plan | Sequence[Plan], authorized_key: str, output: Path) -> None:
    """Run ansible/render.yml, with nothing of this run left behind but ``output``.

    With several plans, each one's files are in a folder of ``output`` that is called as its lab.
    """
    plans = [plan] if isinstance(plan, Plan) else plan
    texts = [each.to_json() for each in plans]
    text = texts[0] if isinstance(plan, Plan) else f"[{','.join(texts)}]"
    deadline = deadline_for(plans)
    import ansible_runner

    playbook = paths.root() / "ansible" / "render.yml"
    with temporary.folder("render") as work:
        (work / "plan.json").write_text(text, encoding="utf-8")
        variables = {
            "plan": _as_it_is(work / "plan.json"),
            "output": _as_it_is(output.absolute()),
            "authorized_key": _as_it_is(authorized_key),
        }
        (work / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
        with Path(os.devnull).open(encoding="utf-8") as nothing:
            out, err, status = ansible_runner.run_command(
                executable_cmd="timeout",
                cmdline_args=[
                    *("--foreground", "--kill-after=5", str(int(deadline))),
                    *("setpriv", "--pdeathsig", "TERM"),
                    *(
                        sys.executable,
                        "-P",
                        "-m",
                        PLAYBOOK,
                        str(playbook),
                        "--extra-vars",
                        f"@{work / 'variables.json'}",
                    ),
                ],
                private_data_dir=str(work / "runner"),
                envvars=environment(work),
                input_fd=nothing,
                runner_mode="subprocess",
                quiet=True,
                # Without one, Runner takes SIGINT and SIGTERM for good, and looks at them here
                # no more: an interrupt would be lost.
                cancel_callback=_never,
            )
    if status != 0:
        late = f" within {deadline:.0f} s" if status in (LATE, KILLED) else ""
        raise Infrastructure(
            f"Ansible could not render the files{late}",
            detail=_own_words(f"{out}\n{err}"),
            hint=f"the roles are in {playbook.parent}",
        )


def _as_it_is(text: str | Path) -> dict[str, str]:
    """Return a variable in which Ansible reads no templates: a folder may be called ``{{ x }}``."""
    return {"__ansible_unsafe": str(text)}


def _never() -> bool:
    """Tell Runner that nobody cancels: an interrupt is raised through it."""
    return False


def environment(work: Path) -> dict[str, str]:
    """Ansible's settings: the repository's, whatever the user's own say, and no trace at home."""
    return {
        "ANSIBLE_CONFIG": str(paths.root() / "ansible" / "ansible.cfg"),
        "ANSIBLE_HOME": str(work / "home"),
        "ANSIBLE_LOCAL_TEMP": str(work / "local"),
        "ANSIBLE_REMOTE_TEMP": str(work / "remote"),
        # A module that is ended on the way leaves its files where TMPDIR says.
        "TMPDIR": str(work),
        "ANSIBLE_NOCOLOR": "1",
        # Ansible refuses to start in a locale that isn't UTF-8.
        "LC_ALL": "C.UTF-8",
    }


def _own_words(output: str) -> str:
    """Return Ansible's first error, or its last lines where it names none as such."""
    text, _, _ = output.partition("PLAY RECAP")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith("[ERROR]"):
            return "\n".join(lines[number : number + MESSAGE_LINES])
    return "\n".join(lines[-MESSAGE_LINES:])
