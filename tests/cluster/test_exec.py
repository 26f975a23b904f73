"""`exec`: streams and exit codes pass through, and 125 means that nothing could be run."""

from __future__ import annotations

import time

import pytest

from cluster.running import Lab, clean_environment
from underlay.proof.bench.command_line import PseudoTerminal

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

TARGETS = ("core-02", "lannet-2a", "switch")
every_target = pytest.mark.parametrize("target", TARGETS)
# A terminal is handed on by the same code to all of them, and to a container the longest way.
every_target_slowly = pytest.mark.parametrize(
    "target",
    [pytest.param(t, marks=() if t == "lannet-2a" else pytest.mark.all) for t in TARGETS],
)


@every_target
def test_it_is_root_and_passes_standard_input(lab: Lab, target: str) -> None:
    text = "two words\n  and $a 'quoted' \"line\"\n"
    done = lab.execute(target, "sh", "-c", "id -u; cat", text=text)
    assert (done.code, done.out) == (0, f"0\n{text}"), str(done)


@every_target
@pytest.mark.parametrize(
    "code",
    # ssh has 255 for failures of its own: whoever passes that on mistakes no other.
    [pytest.param(0, marks=pytest.mark.all), pytest.param(7, marks=pytest.mark.all), 255],
)
def test_exit_codes_pass(lab: Lab, target: str, code: int) -> None:
    done = lab.execute(target, "sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (done.code, done.out, done.err) == (code, "out\n", "err\n"), str(done)


@every_target
def test_an_unknown_command_could_not_be_run(lab: Lab, target: str) -> None:
    done = lab.execute(target, "no-such-command")
    assert (done.code, done.out) == (125, ""), str(done)
    assert "no-such-command: command not found" in done.err


def test_an_unknown_target_is_refused_with_the_nearest(lab: Lab) -> None:
    done = lab.execute("lannet-2z", "true")
    assert (done.code, done.out) == (125, ""), str(done)
    assert "lannet-2z" in done.err
    assert "did you mean lannet-2" in done.err


def test_a_name_with_another_number_is_not_suggested(lab: Lab) -> None:
    done = lab.execute("core-20", "true")
    assert (done.code, done.out) == (125, ""), str(done)
    assert "did you mean" not in done.err
    assert "targets: core-01, core-02, core-03, switch, " in done.err


def on_terminal(
    lab: Lab, *words: str, typed: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[int, str]:
    """Run `exec` on a terminal; type each text once what it waits for is there.

    Return the exit code and what the screen has shown.
    """
    program = [str(lab.checkout.root / "underlay"), "exec", "--lab", lab.name, *words]
    terminal = PseudoTerminal(program, clean_environment() | {"TERM": "dumb"})
    end, seen, left = time.monotonic() + 40, 0, list(typed)
    while terminal.process.poll() is None and time.monotonic() < end:
        terminal.watch(0.2)
        if left and left[0][0] in terminal.text[seen:]:
            seen = len(terminal.text)
            terminal.type(left.pop(0)[1])
    terminal.watch(0.2)
    terminal.close()
    return terminal.process.wait(timeout=10), terminal.text.decode()


@every_target_slowly
def test_a_command_on_a_terminal_has_one(lab: Lab, target: str) -> None:
    script = "test -t 0 && test -t 1 && test -t 2; echo code $?; exit 7"
    code, screen = on_terminal(lab, target, "--", "sh", "-c", script)
    assert (code, "code 0" in screen) == (7, True), screen
    code, screen = on_terminal(lab, "-T", "core-01", "--", "sh", "-c", script)
    assert "code 1" in screen


@every_target_slowly
def test_without_a_command_a_shell_opens_and_ctrl_c_is_its_own(lab: Lab, target: str) -> None:
    """Ctrl-C ends what runs in the shell, and neither the shell nor `exec`."""
    typed = (
        (b"# ", b"echo be''gun; sleep 1000\n"),
        (b"begun", b"\x03"),
        (b"# ", b"echo $((6 * 7)); exit 9\n"),
    )
    code, screen = on_terminal(lab, target, typed=typed)
    assert code == 9, screen
    assert "42" in screen


def test_a_terminal_that_is_not_there_is_refused(lab: Lab) -> None:
    for words in (("-t", "core-01", "--", "true"), ("core-01",)):
        done = lab.verb("exec", *words)
        assert (done.code, done.out) == (125, ""), str(done)
        assert "terminal" in done.err


def test_a_lab_that_is_not_up_is_refused(lab: Lab) -> None:
    done = lab.checkout.underlay("exec", "--lab", "no-such-lab", "core-01", "--", "true")
    assert done.code == 125, str(done)


def test_a_container_shows_its_own_network(lab: Lab) -> None:
    address = lab.plan.container("lannet-2a").attachments[0].address
    done = lab.execute("lannet-2a", "ip", "-brief", "-4", "address", "show", "eth0")
    assert address in done.out, str(done)
    done = lab.execute("lannet-2a", "ls", "/sys/class/net")
    assert done.out.split() == ["eth0", "lo"], str(done)


def test_the_switch_has_every_port_on_its_bridge(lab: Lab) -> None:
    done = lab.execute("switch", "bridge", "link")
    assert done.code == 0, str(done)
    for segment in lab.plan.segments:
        for port in segment.ports.values():
            lines = [line for line in done.out.splitlines() if f" {port}: " in line]
            assert len(lines) == 1, str(done)
            assert f"master {segment.bridge} state forwarding" in lines[0]
