"""The verb ``env``: Vagrant by hand."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from underlay.cli.console import print_document
from underlay.cli.options import AsJson
from underlay.cli.which_lab import resolve_lab, running_lab, running_labs

GROUP = "Running labs"
ORDER = 60


def command(
    lab: Annotated[
        str | None,
        typer.Option(
            "--lab", help="A lab file, or the name of a lab; else the one that is up, or coreos."
        ),
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="For a lab that isn't up: what is to run its nodes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the variables for using Vagrant by hand on a lab.

    Plain `vagrant` in the checkout works on the default lab. With these variables
    set it works on another one, up or not, with a dotfile folder of its own. From
    an installed Underlay every lab needs them. Without --lab they are those of the
    lab that is up; where none is, or --provider is given, of the default one.
    Ansible finds its inventory by them too.

    Example:
      underlay env --lab docker-vlan
      eval "$(underlay env --lab docker-vlan)" && vagrant status
      eval "$(underlay env --provider libvirt)" && vagrant up
    """
    from underlay.cluster.prepare import load_plan
    from underlay.cluster.providers import DEFAULT
    from underlay.cluster.state.lab import LabState, read_state
    from underlay.cluster.vagrant import DOTFILE, variables
    from underlay.storage import paths

    if lab is None and provider is None and running_labs():
        # Whoever names no lab means the one that is up, as with every verb about a running lab.
        lab = running_lab(None)
    state = read_state(lab) if lab else None
    if state is None:
        file = resolve_lab(lab)
        state = LabState(load_plan(file).lab, str(file.resolve()), provider or DEFAULT)
    values = {
        **variables(state),
        "VAGRANT_CWD": str(paths.root()),
        "ANSIBLE_INVENTORY": str(paths.root() / "inventory"),
    }
    if as_json:
        print_document("env", {"variables": values})
        return
    if DOTFILE not in values:
        # Another lab's folder, exported before, must not hold for the default lab.
        print(f"unset {DOTFILE}")
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
