"""Where things are: the data that Underlay ships, the user's cache, and each lab's state folder.

There are two ways to have Underlay. In a checkout its data (``ansible/``, ``image/``,
``labs/`` …) are the checkout's own folders, and state goes to ``.underlay/`` beside
them. Installed from a wheel, the data are in the package, nothing is ever written
there, and state goes to the user's XDG folder. Nothing else in Underlay knows the
difference, but for what asks ``is_checkout``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# pyproject.toml maps the checkout's folders to here, in the wheel alone.
SHIPPED = PACKAGE / "data"
# Names another folder for all state: `check DIR` keeps its labs apart from those that are up.
HOME = "UNDERLAY_HOME"
# Folders for labs that somebody's tests have left up, within the folder for all state.
KEPT = "kept"


def root() -> Path:
    """Return the folder of Underlay's data, which holds ``Vagrantfile`` and ``labs/``; read-only.

    It is the checkout's root where there is a checkout.
    """
    return SHIPPED if SHIPPED.is_dir() else PACKAGE.parents[1]


def is_checkout() -> bool:
    """Whether this is a checkout, and not an installed package."""
    return root() != SHIPPED


def cache() -> Path:
    """Return the folder of caches: images and rendered files, all named by content hash."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def home() -> Path:
    """Return the folder that takes whatever Underlay writes and doesn't cache; it need not exist.

    It is ``.underlay/`` in a checkout, else the XDG folder for state
    (``$XDG_STATE_HOME/underlay``, by default ``~/.local/state/underlay``); and elsewhere
    where ``$UNDERLAY_HOME`` says so.
    """
    if os.environ.get(HOME):
        return Path(os.environ[HOME])
    return root() / ".underlay" if is_checkout() else _xdg("XDG_STATE_HOME", ".local/state")


def states() -> Path:
    """Return the folder that holds one state folder per lab."""
    return home() / "labs"


def locks() -> Path:
    """Return the folder of the labs' lock files."""
    return home() / "locks"


def state(lab: str) -> Path:
    """Return the state folder of the lab called ``lab``; it need not exist."""
    return states() / lab


def remove_empty(*folders: Path) -> None:
    """Remove those of ``folders`` that are empty, one after the other."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def remove_empty_home() -> None:
    """Remove the folders of states and locks, and ``home`` itself, as far as they are empty.

    That of a lab which somebody's tests have left up is one of several in a folder: it goes, too.
    """
    own = home()
    remove_empty(states(), locks(), own, *((own.parent,) if own.parent.name == KEPT else ()))


def kept_home(outer: Path, name: str) -> Path:
    """Return the folder that is ``home`` for a lab which stays up apart from those of ``outer``."""
    return outer / KEPT / name


def _xdg(variable: str, default: str) -> Path:
    """XDG's rule: a folder that isn't absolute counts as not given (basedir specification)."""
    base = Path(os.environ.get(variable, ""))
    return (base if base.is_absolute() else Path.home() / default) / "underlay"


def programs() -> str:
    """Return PATH with the folders of ip and mke2fs, which an ordinary user of Debian lacks."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
