"""Ansible module: make a node what its rendered files say."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.underlay_node import files
from ansible.module_utils.underlay_node.program import converge

DOCUMENTATION = """
module: node_files
short_description: Make a node what its rendered files say
description:
  - Writes the files, and makes, changes and removes interfaces, networks and containers.
  - What is there already is left alone, so a second run changes nothing.
options:
  files:
    description: The files, each with C(path) on the node and C(content); node.json is among them.
    type: list
    elements: dict
    required: true
"""


def differences(wanted: dict[str, str], changes: list[str]) -> list[dict[str, str]]:
    """Return what C(--diff) shows: each file before and after, then all the rest in words."""
    shown = []
    for path, content in sorted(wanted.items()):
        before = files.read(path) or ""
        if before != content:
            header = {"before_header": path, "after_header": path}
            shown.append({**header, "before": before, "after": content})
    return [*shown, {"prepared": "".join(f"{change}\n" for change in changes)}]


def main() -> None:
    """Run as a module; a failed container fails the task."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True}},
        supports_check_mode=True,
    )
    wanted = {file["path"]: file["content"] for file in module.params["files"]}
    files_differ = differences(wanted, [])
    report = converge(wanted, check=module.check_mode)
    # Ansible has a `failed` of its own, so what the node says of itself is kept apart.
    result = {
        **report.document(),
        "said": report.said,
        "diff": [*files_differ[:-1], *differences({}, report.changes)],
    }
    if report.failed:
        module.fail_json(msg="; ".join(report.failed), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
