"""A container's port on the loopback, of a macvlan and of an ipvlan container."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest

import doc_pages
from cluster.commands import GRACE, interrupt
from cluster.running import Lab

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

PORT = 18080
PATIENCE = 30.0
# The node's Python, in the container's network.
SERVE = f"""
setsid python3 -c '
import http.server
class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
http.server.HTTPServer(("0.0.0.0", {PORT}), Says).serve_forever()
' >/dev/null 2>&1 </dev/null &
echo $!
for tried in $(seq 100); do ss -ltn | grep -q :{PORT} && exit 0; sleep 0.1; done
exit 1
"""
# What is left on a node: sockets, and relays, which know them.
LEFT = "ls /run | grep underlay-forward || true"


@pytest.mark.parametrize(
    "container", ["lannet-1a", pytest.param("ipnet-2b", marks=pytest.mark.all)]
)
def test_a_service_in_a_container_answers_here_until_the_end(lab: Lab, container: str) -> None:
    planned = next(one for one in lab.plan.containers if one.name == container)
    own = planned.attachments[0].address.ip
    server = lab.shell(container, SERVE).split()[0]
    words = ["forward", "--lab", lab.name, f"{container}:{PORT}", "--json"]
    process = lab.checkout.start(*words, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        document = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "forward.md", document)
        for _ in range(3):
            with urllib.request.urlopen(f"http://{document['address']}/", timeout=PATIENCE) as got:
                assert got.read().decode() == own
        code = interrupt(process, GRACE)
        assert code == 130
        assert lab.shell(planned.node, LEFT) == ""
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://{document['address']}/", timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=GRACE)
        lab.shell(planned.node, f"kill {server}")


def test_a_port_that_nobody_listens_at_is_said(lab: Lab) -> None:
    nobody = lab.verb("forward", f"lannet-2a:{PORT}")
    assert nobody.code == 3, str(nobody)
    assert f"nobody listens at TCP port {PORT} of lannet-2a" in nobody.err
