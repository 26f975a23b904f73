"""The page of a lab that is up: who is answered, what is shown, and what can be asked for."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from underlay import cli
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput, Infrastructure
from underlay.faults.record import Broken
from underlay.proof import watched
from underlay.proof.choice import Choice
from underlay.proof.explanation import NOTHING
from underlay.proof.watched import Watch
from underlay.report.watch_page.page import WatchPage, watch_page
from underlay.verdict import Verdict
from unit.proof.test_watched import COREOS, STATE, verdict

pytest.importorskip("starlette", reason="pip install starlette uvicorn")

from underlay.cli.served import work as module
from underlay.cli.served.board import Board
from underlay.cli.served.server import LARGEST, served
from underlay.cli.served.work import Work, ended

PAGE = WatchPage("<!doctype html><title>a page</title>", "default-src 'none'")


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def address(board: Board) -> Iterator[tuple[int, str]]:
    """Serve a board, and return the port and the secret path."""
    with served(board, lambda: PAGE, 0) as url:
        host, _, path = url.removeprefix("http://").partition("/")
        yield int(host.partition(":")[2]), f"/{path}"


def ask(
    port: int, path: str, how: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(how, path, body=body, headers=told)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def test_the_page_runs_and_fetches_nothing_from_elsewhere(address: tuple[int, str]) -> None:
    port, path = address
    code, headers, text = ask(port, path)
    assert (code, text) == (200, PAGE.text)
    assert headers["content-security-policy"] == PAGE.policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    policy = watch_page(COREOS).policy
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


def test_nothing_is_there_for_others(address: tuple[int, str]) -> None:
    port, path = address
    token = path.strip("/")
    wrong = f"/{token[:-1]}{'a' if token[-1] != 'a' else 'b'}/"
    for other in ("/", wrong, f"/{token}", f"/{token}/../", f"/{token}/else", "//", "/favicon.ico"):
        assert ask(port, other)[0] == 404, other
    for host in ("evil.test", f"evil.test:{port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.2:{port}"):
        assert ask(port, path, Host=host)[0] == 404, host
    assert ask(port, path, Host=f"localhost:{port}")[0] == 200
    assert ask(port, path, Origin="http://evil.test")[0] == 404
    assert ask(port, path, Origin="null")[0] == 404
    assert ask(port, path, "POST")[0] == 405


def test_it_listens_on_the_loopback_alone_and_no_longer(board: Board) -> None:
    with served(board, lambda: PAGE, 0) as url:
        port = int(url.split(":")[2].split("/")[0])
        assert url.startswith("http://127.0.0.1:")
        with pytest.raises(BadInput) as told, served(board, lambda: PAGE, port):
            pass
        assert f"port {port} of 127.0.0.1 can't be used" in told.value.message
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port), 5)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5)


def test_only_what_is_new_is_told(board: Board, address: tuple[int, str]) -> None:
    port, path = address
    board.put_measured(1, {"ends": []}, sum="1 cell")
    code, _, text = ask(port, f"{path}state?revision=0&cells=0")
    told = json.loads(text)
    assert (code, told["sum"], told["lab"]) == (200, "1 cell", {"ends": []})
    revision = told["revision"]
    assert ask(port, f"{path}state?revision={revision}&cells=1")[0] == 204
    board.put(now="waiting")
    told = json.loads(ask(port, f"{path}state?revision={revision}&cells=1")[2])
    assert told["now"] == "waiting"
    assert "lab" not in told
    for query in ("", "?revision=x&cells=1", "?revision=1"):
        assert ask(port, f"{path}state{query}")[0] == 400


def test_one_thing_is_done_at_a_time(board: Board, address: tuple[int, str]) -> None:
    port, path = address
    kind = {"Content_Type": "application/json"}
    for body, code in (("{", 400), ("[]", 400), ("x" * (LARGEST + 1), 413)):
        assert ask(port, f"{path}ask", "POST", body, **kind)[0] == code
    assert ask(port, f"{path}ask", "POST", "{}")[0] == 415
    assert board.next_asked(0) is None
    assert ask(port, f"{path}ask", "POST", '{"what": "mend"}', **kind)[0] == 202
    assert ask(port, f"{path}ask", "POST", '{"what": "mend"}', **kind)[0] == 409
    assert board.next_asked(0) == {"what": "mend"}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """Return what measurements will find, one after the other."""
    found: list[Verdict] = []
    monkeypatch.setattr(watched, "measure_and_judge", lambda *_: found.pop(0))
    monkeypatch.setattr(LabState, "plan", lambda _: COREOS)
    return found


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[Broken]:
    """Have breaking and mending write down alone what they would do."""
    done: list[Broken] = []

    def inject(_: object, __: object, fault: Any, place: Any) -> Broken:
        done.append(Broken(fault.id, str(place), ()))
        return done[-1]

    def mend(_: object) -> list[Broken]:
        was, done[:] = list(done), []
        return was

    monkeypatch.setattr(module, "inject", inject)
    monkeypatch.setattr(module, "mend", mend)
    monkeypatch.setattr(module, "recorded", lambda _: list(done))
    return done


def on(board: Board) -> dict[str, Any]:
    told = board.since(0, 0)
    assert told is not None
    return told


def test_what_is_asked_for_is_done_and_told(
    board: Board, measured: list[Verdict], broken: list[Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured += [verdict(), verdict(deaf="lannet-2a")]
    work = Work(Watch(lambda: STATE, Choice()), board)
    work.measure()
    first = on(board)
    assert (first["measured"], first["log"][0]["rows"]) == (1, [])
    assert first["lab"]["layers"]
    fault = next(one for one in first["faults"] if one["id"] == "container-drops-incoming")
    place = fault["places"].index("lannet-2a, eth0")
    assert board.ask({"what": "break", "fault": fault["id"], "place": place})
    work.wait(5)
    assert [one.where for one in broken] == ["lannet-2a, eth0"]
    told = on(board)
    assert (told["busy"], told["broken"]) == (
        False,
        ["container-drops-incoming at lannet-2a, eth0"],
    )
    assert told["answer"]["title"] == "Broken: lannet-2a, eth0"
    work.measure()
    told = on(board)
    assert told["lab"]["changed"]
    assert any(row["who"] == "lannet-1a → lannet-2a" for row in told["log"][1]["rows"])
    monkeypatch.setattr(module, "explain_running", lambda *_: NOTHING)
    for what, title in (("explain", "Why"), ("mend", "Mended"), ("mend", "Nothing was broken")):
        assert board.ask({"what": what})
        work.wait(5)
        told = on(board)
        assert told["answer"]["title"].startswith(title)
        assert told["answer"]["bad"] is False
    assert not broken
    # What was found of the same cells is told as well, and not again.
    assert told["measured"] == 2
    assert told["cells"] == 3
    later = board.since(0, 3)
    assert later is not None
    assert "lab" not in later
    ended(board, "over")
    assert on(board)["ended"] == "over"
    assert not board.ask({"what": "mend"})


NONSENSE: tuple[dict[str, Any], ...] = (
    {},
    {"what": "reboot"},
    {"what": "break", "fault": "no-such", "place": 0},
    {"what": "break", "fault": "container-drops-incoming", "place": 9999},
    {"what": "break", "fault": "container-drops-incoming", "place": -1},
    {"what": "break", "fault": "container-drops-incoming", "place": True},
    {"what": "trace", "source": "lannet-1a", "destination": "$(reboot)"},
)


def test_what_makes_no_sense_is_refused(
    board: Board, measured: list[Verdict], broken: list[Broken]
) -> None:
    measured += [verdict()]
    work = Work(Watch(lambda: STATE, Choice()), board)
    work.measure()
    for number, asked in enumerate(NONSENSE, 1):
        assert board.ask(asked)
        work.wait(5)
        told = on(board)
        assert told["answer"]["number"] == number
        assert told["answer"]["bad"] is True, asked
        assert told["answer"]["title"].startswith("That failed: ")
        assert told["busy"] is False
    assert not broken


def test_the_cell_is_traced_by_what_is_shown_alone(
    board: Board, measured: list[Verdict], broken: list[Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured += [verdict()]
    work = Work(Watch(lambda: STATE, Choice()), board)
    work.measure()
    sent: list[str] = []
    monkeypatch.setattr(module, "followed", lambda _, trace: sent.append(trace.packet.words) or [])
    for how in ("", "icmp", "tcp", "tcp:80", "udp:53", "tcp:99999", "mtu"):
        asked = {"what": "trace", "source": "lannet-1a", "destination": "lannet-2a", "how": how}
        assert board.ask(asked)
        work.wait(5)
        assert on(board)["answer"]["bad"] is False
    echo = "one echo request"
    assert sent == [echo, echo, echo, "TCP SYN to port 80", "UDP datagram to port 53", echo, echo]
    assert not broken


def test_a_measurement_that_fails_is_logged(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LabState, "plan", lambda _: COREOS)
    Work(Watch(lambda: STATE, Choice()), board).failed(Infrastructure("the switch was cut short"))
    assert on(board)["log"][0]["sum"] == "not measured: the switch was cut short"


def test_a_port_without_a_server_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "--port", "8000"]) == 2
    assert "--port needs --serve: nothing listens otherwise" in capsys.readouterr().err
