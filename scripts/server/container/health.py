"""The health of the service: the check, and the HTTP server that reports its result.

GET /ready answers 200 or 503, GET /live answers 200 while TorchServe runs; both give the problems as JSON. TorchServe's
own /ping needs a token, and says "healthy" while workers load and for minutes after they died.
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

from service.client import Client
from service.errors import Busy, ServiceError
from service.records import Model

STALE_SECONDS = 30.0
CANARY_SIDE = 32  # pixels; enough to see whether a worker answers


@dataclass(frozen=True)
class Report:
    """The problems of the last check. `at`: its time.monotonic()."""

    problems: tuple[str, ...]
    at: float

    @property
    def is_ready(self) -> bool:
        """Whether requests should be sent to this server. A report that is too old says nothing, so it counts as no."""
        return not self.problems and time.monotonic() - self.at < STALE_SECONDS


def find_problems(client: Client, models: Sequence[Model], expected: Collection[str]) -> list[str]:
    """The problems of the expected models: each default version should be ready, and answer a small picture.

    A version that an operator has unloaded is no problem, and neither is a model that is not expected.
    """
    registered = {model.name for model in models}
    problems = [f"{name} is not registered" for name in sorted(expected) if name not in registered]
    if not models:
        problems.append("no model is registered")
    for model in models:
        version = model.default
        if model.name not in expected or version.state == "unloaded":
            continue
        if version.min_workers > 0 and not version.is_ready:
            problems.append(f"{model.name}: {version.ready_workers} of {version.min_workers} workers are ready")
        if version.ready_workers:
            problems += _try_canary(client, model.name)
    return problems


def _try_canary(client: Client, model: str) -> list[str]:
    try:
        client.detect(model, canary(), image_size=CANARY_SIDE)
    except Busy:
        return []  # the queue is full, so the model works
    except ServiceError as error:
        return [f"{model} does not answer: {error}"]
    return []


def canary() -> bytes:
    """A small grey picture, as PNG."""
    file = io.BytesIO()
    Image.new("RGB", (CANARY_SIDE, CANARY_SIDE), (114, 114, 114)).save(file, "PNG")
    return file.getvalue()


class HealthServer:
    """Answers /ready and /live with the last report, in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._report = Report(("starting",), time.monotonic())
        health = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_GET(self) -> None:
                health.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: probes come every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def report(self, problems: Sequence[str]) -> None:
        """Replace the report by these problems, of now."""
        self._report = Report(tuple(problems), time.monotonic())

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one probe."""
        report = self._report
        ok = {"/ready": report.is_ready, "/live": True}.get(request.path)
        body = json.dumps({"ready": report.is_ready, "problems": report.problems}).encode()
        with contextlib.suppress(OSError):  # a client that needs only the status may close the connection before this
            request.send_response(404 if ok is None else 200 if ok else 503)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
