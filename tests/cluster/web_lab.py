"""A lab whose containers run programs of their user's, out of archives or not, by each runtime."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.archives import docker_archive, oci_archive
from underlay.lint.read import read_lab
from underlay.storage import paths

# What the images run by themselves; one container is told to run another program of its image.
SERVE = ("/bin/busybox", "httpd", "-f", "-p", "80")
TOLD = '[/bin/busybox, httpd, -f, -p, "81"]'
ENDS = '[/bin/busybox, sh, -c, "echo no shop today; exit 3"]'
TEXT = """\
name: own-web
nodes: 2
protocols: [icmp, "tcp:80", "tcp:81"]
segments:
  lan: {{subnet: 192.168.70.0/24}}
  wan: {{subnet: 192.168.80.0/24}}
networks:
  mac: {{driver: macvlan, segment: lan, subnet: 10.1.1.0/24}}
  pod: {{driver: macvlan, segment: lan, subnet: 10.1.2.0/24, runtime: podman}}
  ipv: {{driver: ipvlan, segment: wan, subnet: 10.2.1.0/24, runtime: docker}}
containers:
  - {{on: core-01, name: web, networks: [mac], image: web.tar, ports: [80]}}
  - {{on: core-01, name: web-pod, networks: [pod], image: oci.tar, ports: [80]{pod}}}
  - {{on: core-01, name: web-ipv, networks: [ipv], image: oci.tar, ports: [80]{ipv}}}
  - {{on: core-01, name: told, networks: [mac], image: oci.tar, command: {mac}, ports: [81]}}
  - {{on: core-01, name: page, networks: [mac], command: {page}, ports: [80]}}
  - {{on: core-02, name: guest, networks: [mac]}}
  - {{on: core-02, name: guest-pod, networks: [pod]}}
  - {{on: core-02, name: guest-ipv, networks: [ipv]}}
expect:
  - guest -> web, page tcp:80
  - guest -> told tcp:81
  - guest-pod -> web-pod tcp:80
  - guest-ipv -> web-ipv tcp:80
  - core-01 -x web, web-pod, web-ipv, told, page
  - guest -x web-ipv
"""


def text(mac: str = TOLD, pod: str = "", ipv: str = "") -> str:
    """Return the lab's text, with other commands of a container of each runtime if given.

    The page is the one that the demo of this checkout serves.
    """
    demo = read_lab(paths.root() / "labs" / "demo-web.yml")
    page = json.dumps(demo.containers[0].command)
    more = {key: f", command: {word}" if word else "" for key, word in (("pod", pod), ("ipv", ipv))}
    return TEXT.format(mac=mac, page=page, **more)


def archives(folder: Path) -> None:
    """Write the archives beside the lab file: one as `docker save` writes it, one of OCI."""
    docker_archive(folder / "web.tar", "localhost/mine/web:1", *SERVE)
    oci_archive(folder / "oci.tar", "localhost/mine/web:2", *SERVE)
