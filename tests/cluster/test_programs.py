"""Programs of the user's own in containers: served, measured, and named where they have ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.running import Checkout, Lab, written
from cluster.web_lab import ENDS, archives, text

pytestmark = pytest.mark.all

SERVED = ("web", "web-pod", "web-ipv", "told", "page")
FETCH = 'busybox wget -q -T 10 -O - "http://$1"'
GUESTS = {"web": "guest", "told": "guest", "page": "guest", "web-pod": "guest-pod",
          "web-ipv": "guest-ipv"}  # fmt: skip


@pytest.fixture(scope="module")
def shop(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Return the lab of programs of the user's own, up; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("programs")
    archives(folder)
    with written(copy, folder, "own-web", text()) as lab:
        done = lab.up()
        if done.code:
            pytest.fail(str(done), pytrace=False)
        yield lab


def fetched(lab: Lab, name: str, path: str) -> str:
    """Return what a container serves to a guest on another node."""
    planned = lab.plan.container(name)
    where = f"{planned.attachments[0].address.ip}:{planned.own_ports[0]}"
    assert lab.plan.container(GUESTS[name]).node != planned.node
    return lab.shell(GUESTS[name], FETCH, f"{where}{path}")


def test_every_runtime_serves_what_its_image_holds(shop: Lab) -> None:
    matrix = shop.check()
    matrix.prove_green()
    assert matrix.summary["statements"] == 6
    for name in ("web", "web-pod", "web-ipv", "told"):
        assert fetched(shop, name, "/index.html") == "mine\n", name
        # Its own host's interface below it finds nobody there.
        assert matrix.cells["core-01", name, "tcp:80"]["observed"] == "unreachable"
    page = fetched(shop, "page", "/")
    address = shop.plan.container("page").attachments[0].address
    guest = shop.plan.container("guest").attachments[0].address.ip
    assert all(word in page for word in ("page answered", "core-01", address, guest)), page


def test_programs_that_have_ended_are_named(shop: Lab) -> None:
    shop.shell("core-01", "pkill -KILL -f '[h]ttpd -f'")
    rows = {row["name"]: row for row in shop.status()["containers"]}
    assert {name for name, row in rows.items() if row["seen"] == "missing"} == set(SERVED)
    assert all("ended" in rows[name]["found"] for name in SERVED if name != "web-ipv"), rows
    assert rows["web-ipv"]["found"] == "container web-ipv is exited"
    matrix = shop.check()
    # Nothing differs: it isn't measured, and that is no success either.
    assert matrix.done.code == 3, matrix.done.err
    for (source, destination, protocol), cell in matrix.cells.items():
        gone = {source, destination} & set(SERVED)
        assert (cell["observed"] == "not_measured") == bool(gone), (source, destination, protocol)
    shop.file.write_text(text())
    done = shop.checkout.underlay("switch", str(shop.file), deadline=120)
    assert done.code == 0, str(done)
    shop.check().prove_green()


def test_a_program_that_ends_at_once_is_an_error_with_its_last_words(shop: Lab) -> None:
    shop.file.write_text(text(mac=ENDS, pod=ENDS, ipv=ENDS))
    done = shop.checkout.underlay("switch", str(shop.file), deadline=120)
    assert done.code == 3, str(done)
    for name, code in (("told", ""), ("web-pod", ", exit code 3"), ("web-ipv", ", exit code 3")):
        words = f"core-01: {name}: its own program has ended{code}: no shop today"
        assert words in done.err, str(done)
    assert "page" not in done.err
    shop.file.write_text(text(mac="[/bin/nothing]"))
    done = shop.checkout.underlay("switch", str(shop.file), deadline=120)
    assert done.code == 3, str(done)
    assert "core-01: told: crun run told: exit 1: executable file `/bin/nothing` not" in done.err
    shop.file.write_text(text())
    done = shop.checkout.underlay("switch", str(shop.file), deadline=120)
    assert done.code == 0, str(done)
    shop.check().prove_green()
