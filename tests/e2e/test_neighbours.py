"""The response to a request does not depend on the other requests of its batch."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from ts.context import Context, RequestProcessor

from support.pictures import blank, encoded
from support.running_service import Service
from yolov5_handler import YOLOv5Handler

MODEL = "shapes"


def batch() -> list[bytes]:
    """Eight pictures of eight sizes and several formats."""
    sizes = [(320, 320), (640, 480), (200, 500), (33, 47), (1280, 300), (64, 64), (900, 1200), (320, 240)]
    forms = ["JPEG", "PNG", "WEBP", "BMP"]
    return [encoded(seed, forms[seed % 4], size_wh) for seed, size_wh in enumerate(sizes)]


def without_times(text: str) -> str:
    """The text of a response without its timings."""
    document = json.loads(text)
    document.pop("time", None)
    document.pop("timings", None)
    return json.dumps(document)


@pytest.fixture(scope="module")
def handler(service: Service, tmp_path_factory: pytest.TempPathFactory) -> YOLOv5Handler:
    """The handler of the served archive in this process, so that the test decides on the batches."""
    folder = tmp_path_factory.mktemp("archive")
    with zipfile.ZipFile(Path(service.environment["MODEL_STORE"]) / f"{MODEL}.mar") as archive:
        archive.extractall(folder)
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    loaded = YOLOv5Handler()
    loaded.initialize(Context(MODEL, str(folder), manifest, 8, None, "0"))
    return loaded


def handle(handler: YOLOv5Handler, bodies: Sequence[Any]) -> list[tuple[str, int]]:
    """The response and the status of each request body of one batch."""
    context = Context(MODEL, "", {}, len(bodies), None, "0")
    context.request_processor = [RequestProcessor({}) for _ in bodies]
    responses = handler.handle([{"body": body} for body in bodies], context)
    return [(response, context.get_response_status(index)[0]) for index, response in enumerate(responses)]


def test_alone_and_in_a_batch_of_eight_the_responses_are_the_same_bytes(handler: YOLOv5Handler) -> None:
    pictures = batch()
    alone = [handle(handler, [picture])[0] for picture in pictures]
    assert {status for _, status in alone} == {200}
    assert any(json.loads(response)["detections"] for response, _ in alone)
    for order in (pictures, pictures[::-1]):
        together = dict(zip(order, handle(handler, order), strict=True))
        for picture, (response, status) in zip(pictures, alone, strict=True):
            assert without_times(together[picture][0]) == without_times(response)
            assert together[picture][1] == status


@pytest.mark.parametrize(
    ("neighbour", "status"),
    [
        (b"", 422),
        (b"garbage", 415),
        (b'{"image": "###"}', 400),
        (b'{"image": "", "confidence": 7}', 400),
        (encoded(0)[:900], 422),
        (blank((9000, 8000)), 413),
        (None, 500),  # stands for Unforeseen, which no client can send
    ],
)
def test_an_error_of_one_request_does_not_affect_the_others(
    handler: YOLOv5Handler, neighbour: Any, status: int
) -> None:
    good = encoded(5)
    expected = without_times(handle(handler, [good])[0][0])
    bodies = [good, neighbour if neighbour is not None else Unforeseen(), good]
    responses = handle(handler, bodies)
    assert [response[1] for response in responses] == [200, status, 200]
    assert without_times(responses[0][0]) == without_times(responses[2][0]) == expected
    document = json.loads(responses[1][0])
    assert document["code"] == status
    assert document["type"]
    assert document["message"]


class Unforeseen(dict[str, object]):
    """A body that raises an error for which the service has no response of its own."""

    def __contains__(self, key: object) -> bool:
        raise RuntimeError("unforeseen")


def test_simultaneous_requests_get_the_responses_that_each_gets_alone(service: Service) -> None:
    pictures = [*batch(), b"garbage", b"", encoded(7)[:500]]

    def send(picture: bytes) -> tuple[int, str]:
        url = f"{service.inference_url}/predictions/{MODEL}"
        response = requests.post(url, data=picture, headers=service.headers, timeout=60)
        return response.status_code, without_times(response.text)

    alone = [send(picture) for picture in pictures]
    with ThreadPoolExecutor(len(pictures)) as pool:
        for _ in range(10):
            assert list(pool.map(send, pictures)) == alone
