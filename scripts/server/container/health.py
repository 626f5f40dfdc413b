"""Whether the service is whole, found out by asking it, and told to whoever watches the container.

GET /ready answers 200 or 503, GET /live 200 as long as TorchServe runs; both with the reasons as JSON. Unlike
TorchServe's own /ping they need no token, and are not "healthy" while workers load or minutes after they died.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

from service.client import Busy, Client, ServiceError
from service.records import Model

STALE_SECONDS = 30.0
CANARY_SIDE = 32  # pixels: what it takes to see that a worker answers


@dataclass(frozen=True)
class Report:
    """What was wrong when it was looked at last, at time.monotonic()."""

    problems: tuple[str, ...]
    at: float

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent here."""
        return not self.problems and time.monotonic() - self.at < STALE_SECONDS


def problems_of(client: Client, models: Sequence[Model], expected: Collection[str]) -> list[str]:
    """What keeps the expected models from serving: each default version should have its workers, and answer.

    A version that an operator has unloaded is no problem, and neither is a model that nobody expects yet.
    """
    present = {model.name for model in models}
    problems = [f"{name} is not registered" for name in sorted(expected) if name not in present]
    if not models:
        problems.append("no model is registered")
    for model in models:
        if model.name not in expected:
            continue
        version = model.default
        if version.state == "unloaded":
            continue
        if version.ready_workers < version.min_workers:
            problems.append(f"{model.name}: {version.ready_workers} of {version.min_workers} workers are ready")
        if version.ready_workers:
            problems += _try(client, model.name)
    return problems


def _try(client: Client, model: str) -> list[str]:
    try:
        client.detect(model, canary(), image_size=CANARY_SIDE)
    except Busy:
        return []  # a full queue is a sign of life
    except ServiceError as error:
        return [f"{model} does not answer: {error}"]
    return []


def canary() -> bytes:
    """A small grey picture."""
    file = io.BytesIO()
    Image.new("RGB", (CANARY_SIDE, CANARY_SIDE), (114, 114, 114)).save(file, "PNG")
    return file.getvalue()


class HealthServer:
    """Answers /ready and /live in a thread of its own with the last report that it was given."""

    def __init__(self, host: str, port: int) -> None:
        self._report = Report(("starting",), time.monotonic())
        health = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_GET(self) -> None:
                health.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds and are not worth a line."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def tell(self, problems: Sequence[str]) -> Report:
        """Take note of what is wrong now. Returns what was reported before."""
        before, self._report = self._report, Report(tuple(problems), time.monotonic())
        return before

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one probe."""
        report = self._report
        ok = {"/ready": report.is_ready, "/live": True}.get(request.path)
        body = json.dumps({"ready": report.is_ready, "problems": report.problems}).encode()
        with contextlib.suppress(OSError):  # who asks for the status alone may be gone by now
            request.send_response(404 if ok is None else 200 if ok else 503)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
