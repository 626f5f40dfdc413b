from __future__ import annotations

import threading

import pytest

from page.jobs import Asked, Job, Memory, Picture, Question, forget_failures, key_of, missing
from page.messages import explain
from service.client import Answer, Busy, Failed, InvalidToken, Refused, ServiceError, Unreachable
from support.detections import answer

QUESTION = Question("http://service", "yolov5s", "1.0", (), 0.25)
PICTURES = [Picture(f"{number}.jpg", bytes([number])) for number in range(10)]


def test_every_picture_is_asked_once_and_remembered() -> None:
    memory: Memory = {}
    asked: list[str] = []

    def ask(picture: Picture) -> Answer:
        asked.append(picture.name)
        return answer([])

    job = Job(PICTURES, QUESTION, memory, ask).start()
    assert job.wait(10)
    assert sorted(asked) == [picture.name for picture in PICTURES]
    assert job.answered == job.total == 10
    assert not missing(PICTURES, QUESTION, memory)


def test_a_failed_picture_has_its_own_error_and_the_rest_go_on() -> None:
    memory: Memory = {}

    def ask(picture: Picture) -> Answer:
        if picture is PICTURES[3]:
            raise Refused("damaged", 422, "InvalidImage")
        return answer([])

    Job(PICTURES, QUESTION, memory, ask).start().wait(10)
    failed = [picture.name for picture in PICTURES if isinstance(memory[key_of(picture, QUESTION)].outcome, Exception)]
    assert failed == ["3.jpg"]


def test_a_stopped_job_sends_no_more() -> None:
    memory: Memory = {}
    going, may_answer = threading.Semaphore(0), threading.Event()

    def ask(_: Picture) -> Answer:
        going.release()
        may_answer.wait(10)
        return answer([])

    job = Job(PICTURES, QUESTION, memory, ask).start()
    for _ in range(4):
        assert going.acquire(timeout=10)
    job.stop()
    may_answer.set()
    assert job.wait(10)
    assert job.stopped
    assert len(memory) == 4  # those that were with the service already
    assert len(missing(PICTURES, QUESTION, memory)) == 6


@pytest.mark.parametrize(("asked_at", "wanted", "serves"), [(0.25, 0.25, True), (0.25, 0.6, True), (0.25, 0.1, False)])
def test_an_answer_serves_all_higher_thresholds(asked_at: float, wanted: float, serves: bool) -> None:
    assert Asked(asked_at, answer([])).serves(wanted) is serves


def test_only_errors_that_may_pass_are_forgotten() -> None:
    outcomes: list[Answer | Exception] = [
        answer([]),
        Unreachable("gone"),
        Refused("damaged", 422, "InvalidImage"),
        Busy("full", 503),
    ]
    memory: Memory = {
        key_of(picture, QUESTION): Asked(0.25, outcome) for picture, outcome in zip(PICTURES, outcomes, strict=False)
    }
    forget_failures(memory)
    kept = [memory.get(key_of(picture, QUESTION)) for picture in PICTURES[:4]]
    assert [each is not None for each in kept] == [True, False, True, False]


@pytest.mark.parametrize(
    "error",
    [Unreachable("x"), Busy("x", 503), Failed("Worker died.", 500), Refused("x", 404), Refused("x", 413),
     Refused("the image is empty", 422, "InvalidImage"), Refused("x", 415, "UnsupportedImage"),
     Refused("x", 413, "ImageTooLarge"), Refused("x", 400, "InvalidOption"), Refused("x", 400), ServiceError("x"),
     InvalidToken("x", 400, "InvalidKeyException"), ValueError("x")],
)  # fmt: skip
def test_every_error_says_what_happened_and_what_to_do(error: Exception) -> None:
    explanation = explain(error)
    assert explanation.title
    assert explanation.text.endswith((".", ")"))
    assert "Traceback" not in str(explanation)


@pytest.mark.parametrize("state", ["starting", "unloaded", "failed", "ready", None])
def test_a_503_is_explained_by_the_model_s_state(state: object) -> None:
    titles = {str(explain(Busy("x", 503), each)) for each in ("starting", "unloaded", "failed", "ready")}
    assert len(titles) == 4
    assert explain(Busy("x", 503), state).retry  # type: ignore[arg-type]
