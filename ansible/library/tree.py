"""Ansible module: make a folder hold exactly the given files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: tree
short_description: Make a folder hold exactly the given files
description:
  - Writes all files of a tree in one go, and removes what is not in the list.
  - Writes nothing at all where every file is there already.
options:
  path:
    description:
      - The folder. A folder that exists must be empty or made by this module.
      - Text, as Ansible's own type for paths fills in variables, such as C($HOME).
    type: str
    required: true
  files:
    description: The files, each with C(path), relative to the folder, and C(content).
    type: list
    elements: dict
    required: true
"""

MARKER = ".underlay-rendered"
MARKER_TEXT = "Made by ansible/render.yml, which deletes whatever else is put here.\n"


def wanted(files: list[dict[str, str]]) -> dict[str, bytes]:
    """Return path → content, the marker included; raise ValueError for a path that leads out."""
    tree = {MARKER: MARKER_TEXT.encode()}
    for file in files:
        path = PurePosixPath(file["path"])
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{path} leads out of the folder")
        if str(path) in tree:
            raise ValueError(f"{path} is listed twice")
        tree[str(path)] = file["content"].encode()
    return tree


def present(folder: Path) -> dict[str, bytes | None]:
    """Return path → content of everything in ``folder`` but folders; None for what is no file."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if is_plain(path) else None
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def is_plain(path: Path) -> bool:
    """Return whether ``path`` is a regular file itself, not a link to one."""
    return path.is_file() and not path.is_symlink()


def replace(folder: Path, tree: dict[str, bytes], old: list[str], changed: list[str]) -> None:
    """Delete the ``old`` paths of ``folder``, then write the ``changed`` ones of ``tree``."""
    for name in old:
        (folder / name).unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name in changed:
        path = folder / name
        for parent in reversed([p for p in path.parents if p.is_relative_to(folder)]):
            if not parent.is_dir():
                parent.mkdir(mode=0o755, parents=parent == folder)
                parent.chmod(0o755)
        path.write_bytes(tree[name])
        path.chmod(0o644)


def main() -> None:
    """Run as a module: compare, and unless in check mode, write."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["path"])
    try:
        tree = wanted(module.params["files"])
        found = present(folder) if folder.is_dir() else {}
        if found and MARKER not in found:
            module.fail_json(msg=f"{folder} holds other files: it lacks {MARKER}")
        obsolete = sorted(set(found) - set(tree))
        changed = sorted(name for name in tree if found.get(name) != tree[name])
        if not module.check_mode:
            old = [*obsolete, *(name for name in changed if name in found)]
            replace(folder, tree, old, changed)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(obsolete or changed), written=changed, removed=obsolete)


if __name__ == "__main__":
    main()
