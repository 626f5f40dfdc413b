from __future__ import annotations

import json

from support.app_test import click, opened, service, text_of, with_picture
from support.detections import document
from support.stand_in import FOUND, StandIn, failing, found

__all__ = ["service"]


def test_two_models_are_asked_and_told_apart(service: StandIn) -> None:
    service.states["yolov5m"] = "READY"
    service.predict = lambda model, body: (
        200, json.dumps(document(FOUND if model == "yolov5m" else FOUND[:1], model=model)).encode()
    )  # fmt: skip
    app = opened().switch_page("views/compare.py").run()
    assert "No picture yet" in text_of(app)
    app = with_picture(app)
    assert service.asked == {"yolov5m": 1, "yolov5s": 1}
    text = text_of(app)
    assert "1 object found by all" in text
    assert "2 not by all" in text
    assert text.count("missed") >= 2


def test_one_model_is_too_few(service: StandIn) -> None:
    text = text_of(with_picture(opened().switch_page("views/compare.py").run()))
    assert "1 ready of the two models" in text
    assert "Choose two models or more" in text
    assert not service.asked


def test_a_model_that_fails_has_its_own_sentence_beside_the_other_s_boxes(service: StandIn) -> None:
    service.states["yolov5m"] = "READY"
    broken = failing(500, "InternalServerException", "Worker died.")
    service.predict = lambda model, body: (broken if model == "yolov5m" else found)(model, body)
    app = with_picture(opened().switch_page("views/compare.py").run())
    text = text_of(app)
    assert "worker failed on this request" in text
    assert "3 objects" in text
    service.predict = found
    assert "3 objects found by all" in text_of(click(app, "Try again"))


def test_test_mode_has_nothing_to_compare(service: StandIn) -> None:
    app = opened()
    app.toggle(key="test_mode").set_value(True).run()
    assert "Test mode has one simulated model" in text_of(app.switch_page("views/compare.py").run())
