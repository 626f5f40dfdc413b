from __future__ import annotations

import threading

import pytest

from page.answer_cache import AnswerCache, CachedOutcome, DetectionRequest
from page.jobs import DetectionJob
from page.messages import explain
from page.password import NotPermitted, WrongPassword
from page.picture import Picture
from service.answers import Answer
from service.error_responses import error_of_response
from service.errors import Busy, ErrorKind, Failed, InvalidToken, Refused, ServiceError, Unreachable
from service.operator import InvalidAction
from service.swap import SwapFailed
from support.detections import answer

REQUEST = DetectionRequest("http://service", "yolov5s", "1.0", (), 0.25)
PICTURES = [Picture(f"{number}.jpg", bytes([number])) for number in range(10)]
DAMAGED = error_of_response(422, "InvalidImage", "damaged")


def test_every_picture_is_sent_once_and_its_answer_kept() -> None:
    cache = AnswerCache()
    sent: list[str] = []

    def detect(picture: Picture) -> Answer:
        sent.append(picture.name)
        return answer([])

    job = DetectionJob(PICTURES, REQUEST, cache, detect).start()
    assert job.wait(10)
    assert sorted(sent) == [picture.name for picture in PICTURES]
    assert job.answered == job.total == 10
    assert not cache.unanswered(PICTURES, REQUEST)


def test_a_failed_picture_has_its_own_error_and_the_others_are_sent() -> None:
    cache = AnswerCache()

    def detect(picture: Picture) -> Answer:
        if picture is PICTURES[3]:
            raise DAMAGED
        return answer([])

    DetectionJob(PICTURES, REQUEST, cache, detect).start().wait(10)
    failed = [picture.name for picture in PICTURES if isinstance(cache.get(picture, REQUEST), Exception)]
    assert failed == ["3.jpg"]


def test_a_stopped_job_sends_no_more() -> None:
    cache = AnswerCache()
    sent, may_answer = threading.Semaphore(0), threading.Event()

    def detect(_: Picture) -> Answer:
        sent.release()
        may_answer.wait(10)
        return answer([])

    job = DetectionJob(PICTURES, REQUEST, cache, detect).start()
    for _ in range(4):
        assert sent.acquire(timeout=10)
    job.stop()
    may_answer.set()
    assert job.wait(10)
    assert job.stopped
    assert len(cache) == 4  # the pictures that were sent before
    assert len(cache.unanswered(PICTURES, REQUEST)) == 6


def test_a_running_job_is_used_for_its_own_pictures_only() -> None:
    may_answer = threading.Event()

    def detect(_: Picture) -> Answer:
        may_answer.wait(10)
        return answer([])

    job = DetectionJob(PICTURES[:4], REQUEST, AnswerCache(), detect).start()
    other = DetectionRequest("http://service", "yolov5s", "1.0", (), 0.1)
    assert job.will_answer(PICTURES[1:3], REQUEST)
    assert not job.will_answer(PICTURES[3:5], REQUEST)
    assert not job.will_answer(PICTURES[1:3], other)
    may_answer.set()
    job.wait(10)
    assert not job.will_answer(PICTURES[1:3], REQUEST)


@pytest.mark.parametrize(("sent_at", "wanted", "covers"), [(0.25, 0.25, True), (0.25, 0.6, True), (0.25, 0.1, False)])
def test_an_answer_covers_all_higher_thresholds(sent_at: float, wanted: float, covers: bool) -> None:
    assert CachedOutcome(sent_at, answer([])).covers(wanted) is covers


def test_only_errors_that_a_retry_may_solve_are_dropped() -> None:
    outcomes: list[Answer | Exception] = [answer([]), Unreachable("no answer"), DAMAGED, Busy("full", 503)]
    cache = AnswerCache()
    for picture, outcome in zip(PICTURES, outcomes, strict=False):
        cache.add(picture, REQUEST, outcome)
    cache.drop_failures()
    assert [cache.get(picture, REQUEST) is not None for picture in PICTURES[:4]] == [True, False, True, False]


@pytest.mark.parametrize(
    "error",
    [Unreachable("x"), Busy("x", 503), Failed("Worker died.", 500), error_of_response(404, "", "x"),
     error_of_response(413, "", "x"), error_of_response(422, "InvalidImage", "the image is empty"),
     error_of_response(415, "UnsupportedImage", "x"), error_of_response(413, "ImageTooLarge", "x"),
     error_of_response(400, "InvalidOption", "x"), Refused("x", 400), ServiceError("x"),
     InvalidToken("x", 400, "InvalidKeyException"), ValueError("x"), InvalidAction("x"), SwapFailed("x"),
     NotPermitted("x"), WrongPassword("x", 1.0), *(ServiceError("x", kind=kind) for kind in ErrorKind)],
)  # fmt: skip
def test_every_error_has_a_title_and_what_to_do(error: Exception) -> None:
    explanation = explain(error)
    assert explanation.title
    assert explanation.text.endswith((".", ")"))
    assert "Traceback" not in str(explanation)
    assert "{" not in str(explanation)


def test_an_error_s_braces_stay_as_they_are() -> None:
    assert (
        "The option {x} is unknown."
        in explain(error_of_response(400, "InvalidOption", "the option {x} is unknown")).text
    )


@pytest.mark.parametrize("state", ["starting", "unloaded", "failed", "ready", None])
def test_a_503_is_explained_by_the_model_s_state(state: object) -> None:
    titles = {str(explain(Busy("x", 503), each)) for each in ("starting", "unloaded", "failed", "ready")}
    assert len(titles) == 4
    assert explain(Busy("x", 503), state).retry  # type: ignore[arg-type]
