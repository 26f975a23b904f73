"""What a probe is compiled to is kept on a node, and is nothing but that: real starts of it."""

from __future__ import annotations

import subprocess

from underlay.observe.commands import probe_command

# A /run of its own, in which a node's folder is, or isn't.
APART = ["unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c"]
# Code is written otherwise from time to time, as references are counted, and means the same.
SAME = """python3 -c '
import marshal, sys
first, second = (marshal.load(open(name, "rb")) for name in sys.argv[1:])
print(first == second)'"""
GONE = 3  # a probe's exit code where its caller has nothing to say


def starts(script: str) -> list[str]:
    """Return what ``script`` prints; ``start`` in it starts a probe and says how that ended."""
    script = f"""
    mount -t tmpfs none /run || exit 99
    start() {{ "$@" </dev/null; echo $?; }}
    {script}
    """
    done = subprocess.run(
        [*APART, script, "sh", *probe_command(5)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_it_is_kept_whole_and_made_anew_where_it_was_cut() -> None:
    first, name, second, third, whole, left = starts(
        """
    mkdir /run/underlay
    start "$@"
    file=$(echo /run/underlay/.probe-*); echo "$file"; cp "$file" /run/first
    start "$@"
    head -c 1000 /run/first >"$file"
    start "$@"
    SAME /run/first "$file"
    ls -A /run/underlay | wc -l
    """.replace("SAME", SAME)
    )
    assert {first, second, third} == {str(GONE)}
    assert name.startswith("/run/underlay/.probe-")
    assert (whole, left) == ("True", "1")


def test_another_version_of_the_probe_is_another_file() -> None:
    *codes, left = starts("""
    mkdir /run/underlay
    start "$@"
    start "$@"0
    ls -A /run/underlay | wc -l
    """)
    assert (codes, left) == ([str(GONE)] * 2, "2")


def test_nothing_is_kept_where_the_folder_of_a_node_is_missing() -> None:
    assert starts('start "$@"; ls -A /run | wc -l') == [str(GONE), "0"]
