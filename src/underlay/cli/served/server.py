"""The server of a lab's page: on the loopback, for the host and the token in its address alone.

A page of somebody else's in the same browser doesn't know the token, and one whose name leads to
the loopback by DNS is known by its Host header. What isn't asked for rightly isn't there.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from underlay.errors import BadInput, Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from underlay.cli.served.board import Board
    from underlay.report.watch_page.page import WatchPage

LOOPBACK = "127.0.0.1"
STARTED = 20.0  # s
ENDED = 5.0  # s
# Bytes of what may be asked for: a few words.
LARGEST = 4096
HEADERS = {
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
}


class Guard:
    """Lets requests through that have the right host and token; nothing is there for any other."""

    def __init__(self, inner: ASGIApp, hosts: frozenset[str], token: str) -> None:
        self._inner, self._hosts, self._token = inner, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS.items()]
            await send(message)

        known = scope["type"] == "http" and self._knows(scope)
        answer = self._inner if known else Response(status_code=404)
        await answer(scope, receive, send_with_headers)

    def _knows(self, scope: Scope) -> bool:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        token = scope["path"].split("/")[1]
        return (
            host in self._hosts
            and secrets.compare_digest(token.encode(), self._token.encode())
            and (origin is None or origin.decode("latin-1") == f"http://{host}")
        )


def application(
    board: Board, page: Callable[[], WatchPage], hosts: frozenset[str], token: str
) -> ASGIApp:
    """Return what answers: with the page, what is on the board, and by taking what is asked for."""

    async def show(_: Request) -> Response:
        made = page()
        return HTMLResponse(made.text, headers={"content-security-policy": made.policy})

    async def state(request: Request) -> Response:
        query = request.query_params
        try:
            numbers = int(query["revision"]), int(query["cells"])
        except (KeyError, ValueError):
            return Response(status_code=400)
        told = board.since(*numbers)
        return Response(status_code=204) if told is None else JSONResponse(told)

    async def ask(request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return Response(status_code=415)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return Response(status_code=413)
        try:
            asked = json.loads(body)
        except ValueError:
            return Response(status_code=400)
        if not isinstance(asked, dict):
            return Response(status_code=400)
        return Response(status_code=202 if board.ask(asked) else 409)

    routes = [
        Route(f"/{token}/", show, methods=["GET"]),
        Route(f"/{token}/state", state, methods=["GET"]),
        Route(f"/{token}/ask", ask, methods=["POST"]),
    ]
    inner = Starlette(routes=routes)
    inner.router.redirect_slashes = False
    return Guard(inner, hosts, token)


@contextmanager
def served(board: Board, page: Callable[[], WatchPage], port: int) -> Iterator[str]:
    """Serve within the block, and yield the address; ``port`` 0 is any that is free.

    Raises BadInput where the port can't be used, and Infrastructure where the server doesn't start.
    """
    listening = _bound(port)
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(16)
    hosts = frozenset({f"{LOOPBACK}:{port}", f"localhost:{port}"})
    config = uvicorn.Config(
        application(board, page, hosts, token),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # Beside the main thread, which measures: there it leaves Ctrl-C alone.
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        end = time.monotonic() + STARTED
        while not server.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise Infrastructure("the server of the page didn't start")
            time.sleep(0.02)
        yield f"http://{LOOPBACK}:{port}/{token}/"
    finally:
        server.should_exit = True
        thread.join(ENDED)
        listening.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOOPBACK, port))
        # A bound socket that doesn't listen keeps nobody else away.
        made.listen(64)
    except OSError as error:
        made.close()
        raise BadInput(
            f"port {port} of {LOOPBACK} can't be used: {(error.strerror or '').lower()}",
            hint="leave --port out: any that is free is taken",
        ) from error
    return made
