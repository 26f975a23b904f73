"""What a capture lacks is said: frames that nobody could read in time, and who was gone too early.

Here real programs capture in a namespace of their own.
"""

from __future__ import annotations

from own_network import printed

SCRIPT = """
import json, signal, socket, subprocess, sys, time
from underlay.observe.capture import listened
from underlay.observe.commands import sniff_command

subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
what, number = sys.argv[1], int(sys.argv[2])
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("127.0.0.1", 7777))
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
running, sent = [], []

def start(machine):
    parts = [("here", "node", ["lo"])]
    arguments = sniff_command(parts, seconds=60)
    running.append(subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    return running[0]

def send():
    if what == "stopped":
        running[0].send_signal(signal.SIGSTOP)
    for _ in range(number):
        source.sendto(bytes(1000), ("127.0.0.1", 7777))
    sent.append(time.time())
    running[0].send_signal(signal.SIGKILL if what == "killed" else signal.SIGCONT)

def refuse(machine, code, complaint):
    sys.exit(complaint)

caught = listened(start, ["core-01"], seconds=60, silent=refuse, meanwhile=send)
late = sum(frame.time > sent[0] for frame in caught.frames)
print(json.dumps([len(caught.frames), dict(caught.missing), dict(caught.lost), late]))
"""


def captured(what: str, number: int) -> tuple[int, dict[str, str], dict[str, int]]:
    """Return how many frames of so many datagrams are captured, who is missing, and what is lost.

    Each passes the interface twice: out and in. None has a time after the last was sent.
    """
    frames, missing, lost, late = printed(SCRIPT, what, str(number))
    assert late == 0
    return frames, missing, lost


def test_what_could_not_be_read_in_time_is_counted() -> None:
    frames, missing, lost = captured("stopped", 8000)
    assert missing == {}
    assert lost["here lo"] > 0
    assert frames + lost["here lo"] == 16000


def test_where_all_was_read_nothing_is_lost() -> None:
    """What came just before the end is in the capture as well."""
    assert captured("as ever", 20) == (40, {}, {})


def test_who_was_gone_too_early_is_missing() -> None:
    frames, missing, lost = captured("killed", 20)
    assert frames <= 40
    assert missing == {"here lo": "core-01 was gone before capturing ended"}
    assert lost == {}


STAMPED = """
import json, socket, subprocess, time
from underlay.observe.on_node.sniff import listen

subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
late, came = 0, 0
for _ in range(20):
    points, _ = listen({"spaces": [["here", "node", ["lo"]]]})
    source.sendto(b"first", ("127.0.0.1", 7777))
    sent = time.time()
    time.sleep(0.01)
    frames = [frame for frame in points[0].frames() if b"first" in frame[0]]
    came += len(frames) > 0
    late += any(at > sent for _, _, at in frames)
    points[0].socket.close()
    time.sleep(0.02)
print(json.dumps([came, late]))
"""


def test_the_first_frame_has_the_time_at_which_it_came() -> None:
    """The kernel begins to stamp frames a little after it was asked to, where nobody else had."""
    assert printed(STAMPED) == [20, 0]
