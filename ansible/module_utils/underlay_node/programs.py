"""Programs of the user's own in containers: an image from an archive, a command, or both.

Docker and podman run an image as they always do. crun, which CNI's containers run by, knows root
file systems alone: podman unpacks the image, and an overlay file system gives each container a
layer of its own to write to, as engines do. Without an image it is busybox's, likewise.
"""

from __future__ import annotations

import contextlib
import json
import os

from . import docker, stand_in
from .commands import Failed, run
from .crun import BUNDLES, ROOTFS
from .podman import IMAGE, PODMAN, settle

# On the disk: an overlay's upper layer can't be on another overlay, and memory is scarce.
LAYERS = "/var/lib/underlay/containers"
USUAL_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What Docker leaves a container's root (moby, profiles/../caps/defaults.go), and NET_ADMIN.
CAPABILITIES = [
    f"CAP_{word}"
    for word in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
        "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE", "NET_ADMIN",
    )
]  # fmt: skip
# What runs where the lab file names no image.
ENGINES = {"docker": docker.IMAGE, "podman": IMAGE}
# So much of what a program has said last is repeated where it has ended.
LAST = 300


def has_one(container: dict) -> bool:
    """Whether a container runs a program of the user's own, as the lab file says."""
    return bool(container.get("archive") or container.get("command"))


def prepare(started: list[dict]) -> None:
    """Have the engines of ``started`` containers load the archives that their images are in."""
    kinds = {one["runtime"] for one in started if one.get("archive")}
    if "docker" in kinds:
        stand_in.load("docker", ["docker"])
    if kinds & {"podman", "cni"}:
        settle()
        stand_in.load("podman", PODMAN)


def image(container: dict) -> tuple[str, dict]:
    """Return the id of a container's image, which no other one has, and its configuration."""
    from . import archives

    return archives.image(f"{stand_in.ARCHIVES}/{container['archive']}")


def for_engine(container: dict) -> dict:
    """Return by the words of Docker's API what an engine runs as the container."""
    made = {"Image": ENGINES[container["runtime"]]}
    if container.get("archive"):
        made["Image"], _ = image(container)
    command = {"Cmd": container["command"]} if container.get("command") else {}
    return {**made, **command, "Env": [f"{key}={value}" for key, value in told(container).items()]}


def told(container: dict) -> dict[str, str]:
    """Return the variables by which a program can tell where it runs."""
    return {"UNDERLAY_CONTAINER": container["name"], "UNDERLAY_NODE": container["node"]}


def configured(container: dict, config: dict) -> dict:
    """Return crun's config.json for the container: OCI's runtime specification, version 1.0.

    ``config`` is the usual one, of a container that sleeps. What an image's configuration means is
    said by the OCI image specification, conversion.md.
    """
    said: dict = {}
    lower = ROOTFS
    if container.get("archive"):
        identity, whole = image(container)
        said = whole.get("config") or {}
        lower = run([*PODMAN, "image", "mount", identity]).strip()
    root = _layered(container["name"], lower)
    command = container.get("command") or said.get("Cmd") or []
    user = _user(root, str(said.get("User") or ""))
    environment = [USUAL_PATH, *(said.get("Env") or [])]
    environment += [f"{key}={value}" for key, value in told(container).items()]
    kinds = ("bounding", "effective", "permitted") if user["uid"] == 0 else ("bounding",)
    linux = dict(config["linux"])
    if user["uid"]:
        # As Docker and containerd do: who isn't root may listen on any port of its own network.
        linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0"}
    dev = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
           "options": ["nosuid", "strictatime", "mode=755", "size=1024k"]}  # fmt: skip
    shm = {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
           "options": ["nosuid", "nodev", "noexec", "mode=1777"]}  # fmt: skip
    mounts = [one for one in config["mounts"] if one["destination"] != "/dev"]
    return {
        **config,
        "root": {"path": root, "readonly": False},
        "process": {
            **config["process"],
            "args": [*(said.get("Entrypoint") or []), *command],
            "cwd": said.get("WorkingDir") or "/",
            "env": environment,
            "user": user,
            "capabilities": dict.fromkeys(kinds, CAPABILITIES),
        },
        "mounts": [*mounts, dev, shm],
        "linux": linux,
    }


def _layered(name: str, lower: str) -> str:
    """Return a root file system for a container: ``lower``, with an empty layer to write to."""
    forget(name)
    root = f"{BUNDLES}/{name}/rootfs"
    layer = f"{LAYERS}/{name}"
    for folder in (root, f"{layer}/upper", f"{layer}/work"):
        os.makedirs(folder, exist_ok=True)
    options = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work"
    run(["mount", "-t", "overlay", "-o", options, "overlay", root])
    return root


def forget(name: str) -> None:
    """Take away what a container has written, and where it was mounted."""
    root = f"{BUNDLES}/{name}/rootfs"
    if os.path.ismount(root):
        run(["umount", "--lazy", root])
    if os.path.isdir(f"{LAYERS}/{name}"):
        import shutil

        shutil.rmtree(f"{LAYERS}/{name}")


def _user(root: str, said: str) -> dict:
    """Return the numbers of a user as an image says it: name or number, and a group behind it."""
    name, _, group = said.partition(":")
    uid, gid = (int(name), 0) if name.isdigit() else (0, 0)
    for words in _table(root, "passwd"):
        if len(words) > 3 and name and name in (words[0], words[2]):
            uid, gid = int(words[2]), int(words[3])
            break
    else:
        if name and not name.isdigit():
            raise Failed(f"its image runs as {name}, and has no such user")
    if group:
        groups = {words[0]: int(words[2]) for words in _table(root, "group") if len(words) > 2}
        if not group.isdigit() and group not in groups:
            raise Failed(f"its image runs as {said}, and has no such group")
        gid = int(group) if group.isdigit() else groups[group]
    return {"uid": uid, "gid": gid}


def _table(root: str, name: str) -> list[list[str]]:
    """Return the rows of /etc/passwd or /etc/group of an image; a link may lead elsewhere."""
    path = f"{root}/etc/{name}"
    if os.path.islink(path) or not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n").split(":") for line in file]


def ended(container: dict) -> str:
    """Return how a program has ended, with what it has said last, as far as that is known."""
    name = container["name"]
    words = ["its own program has ended"]
    said = ""
    if container["runtime"] == "cni":
        with contextlib.suppress(OSError), open(f"{BUNDLES}/{name}/log", errors="replace") as file:
            said = file.read()
    else:
        engine = ["docker"] if container["runtime"] == "docker" else PODMAN
        form = ["inspect", "--type=container", "--format", "{{.State.ExitCode}}", name]
        code = run([*engine, *form], check=False).strip()
        words += [f"exit code {code}"] if code.isdigit() else []
        said = run(
            ["sh", "-c", 'exec "$@" 2>&1', "sh", *engine, "logs", "--tail=3", name], check=False
        )
    last = [line.strip() for line in said.splitlines() if line.strip()]
    return ": ".join([", ".join(words), *(line[-LAST:] for line in last[-1:])])


def of_crun(container: dict, config: dict) -> str:
    """Return crun's config.json for a container of CNI as text."""
    made = configured(container, config) if has_one(container) else config
    return json.dumps(made)
