from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from service import client as client_module
from service.client import Client
from service.error_responses import error_of_response
from service.errors import Busy, ErrorKind, Failed, InvalidToken, Refused, ServiceError, Unreachable
from service.tokens import read_token
from support.http_server import answering

ANSWER = {
    "model": "yolov5s",
    "version": "1.0",
    "time": 0.03,
    "image": {"width": 8, "height": 6},
    "detections": [{"xyxy": [1, 2, 3, 4], "class_id": 0, "class_name": "person", "confidence": 0.5}],
    "timings": {},
}


Reply = tuple[int, object]


def serving(reply: Callable[[str, dict[str, str], bytes], Reply]) -> AbstractContextManager[str]:
    """A server that answers with JSON documents."""

    def encoded(path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        status, document = reply(path, headers, body)
        return status, json.dumps(document).encode()

    return answering(encoded)


@pytest.fixture(autouse=True)
def without_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_SECONDS", 0.001)


def write_keys(path: Path, inference: str) -> None:
    path.write_text(json.dumps({"inference": {"key": inference}, "management": {"key": "m"}, "API": {"key": "a"}}))


def test_the_image_s_bytes_are_sent_unchanged() -> None:
    seen: list[tuple[str, bytes]] = []

    def reply(path: str, _: dict[str, str], body: bytes) -> Reply:
        seen.append((path, body))
        return 200, ANSWER

    with serving(reply) as url:
        answer = Client(url).detect("yolov5s", b"\xff\xd8 picture")
    assert seen == [("/predictions/yolov5s", b"\xff\xd8 picture")]
    assert answer.size_wh == (8, 6)
    assert answer.detections[0].xyxy == (1, 2, 3, 4)
    assert answer.document == ANSWER


def test_options_are_sent_as_a_form() -> None:
    bodies: list[bytes] = []

    def reply(_: str, __: dict[str, str], body: bytes) -> Reply:
        bodies.append(body)
        return 200, ANSWER

    with serving(reply) as url:
        Client(url).detect("yolov5s", b"picture", confidence=0.5, classes=["person", 2], agnostic=True)
    assert all(part in bodies[0] for part in (b"picture", b"0.5", b"person,2", b"true"))


@pytest.mark.parametrize(("failures", "succeeds"), [(0, True), (2, True), (4, True), (5, False)])
def test_a_503_is_retried_a_few_times(failures: int, succeeds: bool) -> None:
    left = [failures]

    def reply(*_: object) -> Reply:
        left[0] -= 1
        return (503, {"code": 503, "message": "queue is full"}) if left[0] >= 0 else (200, ANSWER)

    with serving(reply) as url:
        if succeeds:
            assert Client(url).detect("yolov5s", b"").model == "yolov5s"
        else:
            with pytest.raises(Busy, match="queue is full"):
                Client(url).detect("yolov5s", b"")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, Refused), (404, Refused), (413, Refused), (422, Refused), (301, Refused), (500, Failed)],
)
def test_other_failures_are_not_retried(status: int, expected: type[ServiceError]) -> None:
    calls = []

    def reply(*_: object) -> Reply:
        calls.append(1)
        return status, {"code": status, "type": "Kind", "message": "what was wrong"}

    with serving(reply) as url, pytest.raises(expected, match="what was wrong") as raised:
        Client(url).detect("yolov5s", b"")
    assert (len(calls), raised.value.status, raised.value.type) == (1, status, "Kind")


def test_after_a_refused_token_the_key_file_is_read_again(tmp_path: Path) -> None:
    keys = tmp_path / "key_file.json"
    write_keys(keys, "old")

    def reply(_: str, headers: dict[str, str], __: bytes) -> Reply:
        if headers.get("Authorization") == "Bearer new":
            return 200, ANSWER
        write_keys(keys, "new")  # another client has renewed it meanwhile
        return 400, {"code": 400, "type": "InvalidKeyException", "message": "Token Authorization failed."}

    with serving(reply) as url:
        assert Client(url, key_file=keys).detect("yolov5s", b"").model == "yolov5s"


def test_a_wrong_token_raises_invalid_token(tmp_path: Path) -> None:
    keys = tmp_path / "key_file.json"
    write_keys(keys, "wrong")
    refusal = (400, {"code": 400, "type": "InvalidKeyException", "message": "Token Authorization failed."})
    with serving(lambda *_: refusal) as url, pytest.raises(InvalidToken, match="Token Authorization failed"):
        Client(url, key_file=keys).detect("yolov5s", b"")


def test_without_a_server_the_error_names_the_url() -> None:
    with pytest.raises(Unreachable, match=r"no answer from http://127\.0\.0\.1:9"):
        Client("http://127.0.0.1:9").detect("yolov5s", b"")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"inference": {}}', '{"inference": 1}'])
def test_an_invalid_key_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidToken, match=r"keys\.json"):
        read_token(path, "inference")


@pytest.mark.parametrize(
    ("status", "type", "message", "expected", "kind"),
    [
        (503, "ServiceUnavailableException", "queue is full", Busy, ErrorKind.BUSY),
        (500, "InternalServerException", "Worker died.", Failed, ErrorKind.WORKER_FAILED),
        (507, "InternalServerException", "Worker died.", Failed, ErrorKind.WORKER_FAILED),
        (500, "InternalServerException", "Failed to start workers for m", Failed, ErrorKind.WORKERS_NOT_STARTED),
        (400, "InvalidKeyException", "Token Authorization failed.", InvalidToken, ErrorKind.TOKEN_REFUSED),
        (404, "ModelNotFoundException", "Model not found: m", Refused, ErrorKind.MODEL_NOT_FOUND),
        (404, "ModelNotFoundException", "Model not found at: m.mar", Refused, ErrorKind.ARCHIVE_NOT_FOUND),
        (413, "", "too large", Refused, ErrorKind.BODY_TOO_LARGE),
        (413, "ImageTooLarge", "too large", Refused, ErrorKind.IMAGE_TOO_LARGE),
        (415, "UnsupportedImage", "no image", Refused, ErrorKind.UNSUPPORTED_IMAGE),
        (422, "InvalidImage", "cut off", Refused, ErrorKind.INVALID_IMAGE),
        (400, "InvalidOption", "iou is 2", Refused, ErrorKind.INVALID_OPTION),
        (400, "InvalidRequest", "no image", Refused, ErrorKind.INVALID_OPTION),
        (405, "MethodNotAllowedException", "not allowed", Refused, ErrorKind.REGISTRATION_OFF),
        (409, "ConflictStatusException", "already registered", Refused, ErrorKind.VERSION_CONFLICT),
        (403, "InvalidModelVersionException", "default version", Refused, ErrorKind.DEFAULT_VERSION),
        (418, "", "a teapot", Refused, ErrorKind.REFUSED),
    ],
)
def test_an_error_response_has_its_kind(
    status: int, type: str, message: str, expected: type[ServiceError], kind: ErrorKind
) -> None:
    error = error_of_response(status, type, message)
    assert error.__class__ is expected
    assert (str(error), error.status, error.type, error.kind) == (message, status, type, kind)


def test_an_error_without_a_response_has_its_kind(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as unreachable:
        Client("http://127.0.0.1:9").health()
    assert unreachable.value.kind is ErrorKind.UNREACHABLE
    with pytest.raises(InvalidToken) as missing:
        Client("http://127.0.0.1:9", key_file=tmp_path / "key_file.json").health()
    assert missing.value.kind is ErrorKind.TOKEN_MISSING
    with serving(lambda *_: (200, {"detections": "none"})) as url, pytest.raises(Failed) as invalid:
        Client(url).detect("yolov5s", b"")
    assert invalid.value.kind is ErrorKind.INVALID_ANSWER
