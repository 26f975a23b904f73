"""networkd: from the moment that a node becomes another lab's, its interfaces are made here alone.

At first boot networkd gives NICs and VLANs their addresses, from cloud-init's files. Left at
work, it would bring the old lab's addresses back as soon as a link goes down and up again;
told of new ones, it would make them side by side with this program, each undoing what the
other has done. Stopped, it leaves all static configuration in place.

Where the node's user has units of their own, networkd acts on these, at boot and later.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import time
from collections.abc import Iterable

from .commands import Failed, run, show, write

# systemd's own note that the unit is active.
ACTIVE = "/run/systemd/units/invocation:systemd-networkd.service"
UNITS = ("systemd-networkd.socket", "systemd-networkd.service")
# cloud-init's units of everything but management.
RENDERED = "/etc/systemd/network/10-cloud-init-*.network"
# What networkd notes of each link (sd-network's state files).
LINKS = "/run/systemd/netif/links"
DROP_INS = "/run/systemd/network"
DEADLINE = 30.0
# s for a link that a unit makes: one whose interface below isn't there is never made.
MADE_DEADLINE = 5.0
# By which keys a unit names the links that are to be made upon its own.
UPON = r"^\s*(VLAN|MACVLAN|MACVTAP|IPVLAN|IPVTAP)\s*=.*(?<![\w.]){name}(?![\w.])"


def let_go() -> None:
    """Stop networkd, unless that has been done; a lean node has none."""
    if os.path.lexists(ACTIVE):
        run(["systemctl", "stop", *UNITS], check=False)


def keep_masters(ports: Iterable[str]) -> None:
    """Have networkd leave ``ports`` in the bridges that this program puts them into.

    It takes a link that its unit names no bridge for out of any as often as it configures it: also
    when its watchdog has started it again, on a node that stood still (systemd.network(5),
    KeepMaster=).
    """
    for port in ports:
        unit = RENDERED.replace("*", port)
        if os.path.exists(unit):
            write(f"{unit}.d/50-underlay.conf", "[Network]\nKeepMaster=yes\n")


def act_on(units: list[dict], management: str, planned: dict[str, list[str]]) -> None:
    """Have networkd act on the user's own ``units``, and return once it has done so.

    cloud-init's own units go, but for that of ``management``. An address that is ``planned`` for an
    interface and that no unit gives it comes by a drop-in: one that somebody else adds, networkd
    takes away as soon as it configures the link again. Raises Failed, with networkd's words, where
    a link isn't configured after DEADLINE seconds.
    """
    for path in glob.glob(RENDERED):
        if not path.endswith(f"-{management}.network"):
            os.unlink(path)
    run(["systemctl", "start", *UNITS])
    _reload(units)
    if _add_addresses(units, planned):
        _reload(units)


def _add_addresses(units: list[dict], planned: dict[str, list[str]]) -> bool:
    """Write drop-ins for ``planned`` addresses that units lack; say whether there are any."""
    links = _links()
    governed = [path for _, path in links.values()]
    added = False
    for row in show(["address", "show"]):
        path = links.get(row["ifname"], ("", ""))[1]
        mine = path in {unit["path"] for unit in units} and governed.count(path) == 1
        found = {f"{entry['local']}/{entry['prefixlen']}" for entry in row["addr_info"]}
        lacking = [one for one in planned.get(row["ifname"], ()) if one not in found]
        if mine and lacking:
            lines = "".join(f"Address={address}\n" for address in lacking)
            write(f"{DROP_INS}/{os.path.basename(path)}.d/50-underlay.conf", f"[Network]\n{lines}")
            added = True
    return added


def _reload(units: list[dict]) -> None:
    """Have networkd read its units, and return once every link is configured."""
    run(["networkctl", "reload"])
    texts = {unit["path"]: unit for unit in units}
    began = time.monotonic()
    while _unmade(units) and time.monotonic() < began + MADE_DEADLINE:
        time.sleep(0.1)
    while waiting := _unsettled():
        failed = [link for link, (state, _) in waiting.items() if state == "failed"]
        if failed or time.monotonic() > began + DEADLINE:
            link = (failed or list(waiting))[0]
            state, path = waiting[link]
            source = texts[path]["source"] if path in texts else path or "systemd-networkd"
            raise Failed(f"{source}: networkd says that {link} is {state}{_journal(link)}")
        time.sleep(0.1)


def governed(units: list[dict]) -> set[str]:
    """Return the interfaces that networkd has one of the user's own ``units`` for."""
    paths = {unit["path"] for unit in units}
    return {link for link, (_, path) in _links().items() if path in paths}


def _unsettled() -> dict[str, tuple[str, str]]:
    """Return the state and the unit of each link that networkd has not configured yet.

    A new one is ``pending`` first, with no unit so far: what is added to it then, networkd removes.
    """
    return {
        link: (state, path)
        for link, (state, path) in _links().items()
        if state not in ("configured", "unmanaged")
    }


def _unmade(units: list[dict]) -> list[str]:
    """Return the links that the ``units`` make and that aren't there."""
    names = [name for unit in units if (name := made_by(unit))]
    texts = "\n".join(unit["text"] for unit in units)
    wanted = [n for n in names if re.search(UPON.format(name=re.escape(n)), texts, re.MULTILINE)]
    return sorted({*wanted} - {*_links()})


def made_by(unit: dict) -> str:
    """Return the interface that a ``.netdev`` unit makes; nothing for other units."""
    if not unit["path"].endswith(".netdev"):
        return ""
    section = ""
    for line in unit["text"].splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text
        elif section == "[NetDev]" and text.partition("=")[0].strip() == "Name":
            return text.partition("=")[2].strip()
    return ""


def _links() -> dict[str, tuple[str, str]]:
    """Return networkd's word for each link, and the unit that it has for it, by the link's name."""
    found = {}
    for row in show(["link", "show"]):
        said = {}
        with contextlib.suppress(OSError), open(f"{LINKS}/{row['ifindex']}") as file:
            said = dict(line.rstrip("\n").partition("=")[::2] for line in file)
        found[row["ifname"]] = (said.get("ADMIN_STATE", "pending"), said.get("NETWORK_FILE", ""))
    return found


def _journal(link: str) -> str:
    """Return networkd's own last words about a link."""
    words = ["journalctl", "--unit=systemd-networkd", "--output=cat", "--lines=40", "--no-pager"]
    lines = [line for line in run(words, check=False).splitlines() if line.startswith(f"{link}:")]
    return f": {lines[-1]}" if lines else ""
