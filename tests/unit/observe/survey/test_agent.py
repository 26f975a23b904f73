"""What runs on a machine ends with whoever leads it, and by itself."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from underlay.observe.survey.commands import frames_command
from underlay.observe.survey.surveying import Wanted, survey
from underlay.observe.survey.wire import marked

UNSHARE = [
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    'ip link set lo up; exec "$@"',
    "sh",
]
NONCE = b"\1\2\3\4"
FRAME = marked(NONCE, 1, bytes(6), bytes(6)).hex()


def agent(*, rate: float, seconds: float) -> subprocess.Popen[bytes]:
    command = [*UNSHARE, *frames_command(["lo"], NONCE, rate, seconds)]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None
    assert json.loads(made.stdout.readline()) == {"ready": ["lo"], "missing": {}}
    return made


def tell(led: subprocess.Popen[bytes], what: dict[str, object]) -> None:
    assert led.stdin is not None
    led.stdin.write(json.dumps(what).encode() + b"\n")
    led.stdin.flush()


@pytest.mark.parametrize("orders", [[], [{"send": [["lo", FRAME, 0]] * 500}], [{"listen": 60}]])
def test_it_ends_with_its_leader_whatever_it_does(orders: list[dict[str, object]]) -> None:
    led = agent(rate=1.0, seconds=120.0)
    for order in orders:
        tell(led, order)
    time.sleep(0.3)
    assert led.stdin is not None
    led.stdin.close()
    began = time.monotonic()
    led.wait(timeout=60)
    assert time.monotonic() - began < 30


def test_it_ends_by_itself_while_nobody_says_anything() -> None:
    led = agent(rate=1.0, seconds=1.0)
    assert led.wait(timeout=30) == 0


def test_a_frame_that_is_sent_is_heard_with_its_number() -> None:
    led = agent(rate=100.0, seconds=60.0)
    tell(led, {"send": [["lo", FRAME, 100]] * 3})
    assert led.stdout is not None
    assert json.loads(led.stdout.readline()) == {"sent": 3, "failed": {}}
    tell(led, {"listen": 0.2})
    heard = json.loads(led.stdout.readline())["heard"]
    assert heard == [["lo", -1, 86, 1, ""]] * 3
    led.communicate(timeout=30)


def test_frames_that_no_nic_may_send_are_not_passed_over() -> None:
    def start(name: str, arguments: list[str], as_root: bool) -> subprocess.Popen[bytes]:
        assert (name, as_root) == ("bare", False)
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*UNSHARE, *arguments], **streams)

    seen = survey(start, ["bare"], Wanted(send=True))
    assert not seen.machines[0].failed
    assert not seen.sent
    assert "--segment NAME=NIC" in seen.amiss[0]
    assert survey(start, ["bare"], Wanted()).amiss == []
