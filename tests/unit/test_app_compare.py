from __future__ import annotations

import json

from support.app_test import click, opened, service, text_of, with_picture
from support.detections import document
from support.stand_in import DETECTIONS, StandIn, detect_all, failing

__all__ = ["service"]


def test_two_models_are_compared(service: StandIn) -> None:
    service.states["yolov5m"] = "READY"
    service.predict = lambda model, body: (
        200, json.dumps(document(DETECTIONS if model == "yolov5m" else DETECTIONS[:1], model=model)).encode()
    )  # fmt: skip
    app = opened().switch_page("views/compare.py").run()
    assert "No picture yet" in text_of(app)
    app = with_picture(app)
    assert service.requested == {"yolov5m": 1, "yolov5s": 1}
    text = text_of(app)
    assert "1 object found by all" in text
    assert "2 not by all" in text
    assert text.count("missed") >= 2


def test_one_model_is_too_few(service: StandIn) -> None:
    text = text_of(with_picture(opened().switch_page("views/compare.py").run()))
    assert "1 ready of the two models" in text
    assert "Choose two models or more" in text
    assert not service.requested


def test_a_model_s_error_is_shown_beside_the_other_model_s_boxes(service: StandIn) -> None:
    service.states["yolov5m"] = "READY"
    broken = failing(500, "InternalServerException", "Worker died.")
    service.predict = lambda model, body: (broken if model == "yolov5m" else detect_all)(model, body)
    app = with_picture(opened().switch_page("views/compare.py").run())
    text = text_of(app)
    assert "worker failed on this request" in text
    assert "3 objects" in text
    service.predict = detect_all
    assert "3 objects found by all" in text_of(click(app, "Try again"))


def test_in_test_mode_there_is_nothing_to_compare(service: StandIn) -> None:
    app = opened()
    app.toggle(key="test_mode").set_value(True).run()
    assert "Test mode has one simulated model" in text_of(app.switch_page("views/compare.py").run())
