"""`exec`: streams and exit codes pass through, and 125 means that nothing could be run."""

from __future__ import annotations

import pytest

from cluster.running import Lab

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

TARGETS = ("core-02", "lannet-2a", "switch")
every_target = pytest.mark.parametrize("target", TARGETS)


@every_target
def test_it_is_root_and_passes_standard_input(lab: Lab, target: str) -> None:
    text = "two words\n  and $a 'quoted' \"line\"\n"
    done = lab.execute(target, "sh", "-c", "id -u; cat", text=text)
    assert (done.code, done.out) == (0, f"0\n{text}"), str(done)


@every_target
@pytest.mark.parametrize("code", [0, 7, 255])
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
    for segment in lab.status()["switch"]["segments"]:
        for port in segment["ports"].values():
            lines = [line for line in done.out.splitlines() if f" {port}: " in line]
            assert len(lines) == 1, str(done)
            assert f"master {segment['bridge']} state forwarding" in lines[0]
