from __future__ import annotations

from pathlib import Path

import pytest

from page import session
from service.answers import Detection
from support.app_test import (
    clear_caches,
    click,
    opened,
    rerun_with_new_status,
    service,
    session_of,
    text_of,
    with_picture,
)
from support.detections import png
from support.stand_in import StandIn, detect_all, detect_only, failing

__all__ = ["service"]


def test_an_empty_page_shows_what_to_do(service: StandIn) -> None:
    text = text_of(opened())
    assert "No picture yet" in text
    assert "Alive." in text
    assert "YOLOv5 on TorchServe" in text
    assert service.url in text


def test_a_picture_is_sent_at_once_and_its_detections_are_shown(service: StandIn) -> None:
    app = with_picture(opened())
    assert service.requested == {"yolov5s": 1}
    text = text_of(app)
    assert "3 objects" in text
    assert "31 ms on the server" in text
    assert "640 x 480 px" in text
    assert text.count("person") >= 3
    assert len(app.get("imgs") or app.get("image")) == 1


def test_a_rerun_and_a_higher_threshold_send_no_request(service: StandIn) -> None:
    app = with_picture(opened())
    app.run()
    app.slider[0].set_value(0.5).run()
    assert "2 objects" in text_of(app)
    app.slider[0].set_value(0.95).run()
    assert "Nothing was found with a confidence above 0.95" in text_of(app)
    assert service.requested == {"yolov5s": 1}
    app.slider[0].set_value(0.1).run()
    assert service.requested == {"yolov5s": 2}


def test_the_button_sends_the_picture_again(service: StandIn) -> None:
    app = click(with_picture(opened()), "Detect")
    assert service.requested == {"yolov5s": 2}
    assert "3 objects" in text_of(app)


def test_the_file_s_bytes_are_sent_unchanged(service: StandIn) -> None:
    bodies = []

    def record(model: str, body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return detect_all(model, body)

    service.predict = record
    with_picture(opened())
    assert bodies == [png() + b"bus.png"]


def test_class_names_are_escaped(service: StandIn) -> None:
    service.predict = detect_only(Detection((1, 2, 30, 40), 0, "<script>alert(1)</script>", 0.9))
    text = text_of(with_picture(opened()))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_several_pictures_are_counted_and_one_is_shown(service: StandIn) -> None:
    app = with_picture(opened(), "a.png", "b.png", "c.png")
    for _ in range(20):
        if "3 pictures" in text_of(app):
            break
        app.run()
    assert "3 pictures, 9 objects" in text_of(app)
    assert service.requested == {"yolov5s": 3}


@pytest.mark.parametrize(
    ("status", "type", "message", "retry"),
    [
        (422, "InvalidImage", "cannot read this picture", False),
        (415, "UnsupportedImage", "Use JPEG, PNG, TIFF or WebP", False),
        (413, "ImageTooLarge", "64 megapixels", False),
        (400, "InvalidOption", "refuses these options", False),
        (404, "ModelNotFoundException", "does not have this model", True),
        (500, "InternalServerException", "worker failed on this request", True),
        (503, "ServiceUnavailableException", "The server is busy", True),
        (418, "", "refuses this request", False),
    ],
)
def test_each_error_has_its_message(service: StandIn, status: int, type: str, message: str, retry: bool) -> None:
    service.predict = failing(status, type, "the image is cut off")
    app = with_picture(opened())
    text = text_of(app)
    assert message in text
    assert "Traceback" not in text
    assert ("Try again" in [button.label for button in app.button]) is retry
    if retry:
        service.predict = detect_all
        assert "3 objects" in text_of(click(app, "Try again"))


@pytest.mark.parametrize(
    ("state", "message"),
    [("UNLOADING", "The model is starting"), ("NONE", "not loaded"), ("DEAD", "no running worker")],
)
def test_a_503_is_explained_by_the_state_of_the_model(service: StandIn, state: str, message: str) -> None:
    service.states["yolov5s"] = state
    service.predict = failing(503, "ServiceUnavailableException", "no worker")
    assert message in text_of(with_picture(opened()))


def test_a_refused_token_is_explained(service: StandIn) -> None:
    service.token_refused = True
    app = opened()
    text = text_of(app)
    assert "refuses the page's token" in text
    assert "KEY_FILE" in text
    service.token_refused = False
    assert "Alive." in text_of(rerun_with_new_status(app))


def test_a_server_without_models_is_explained(service: StandIn) -> None:
    service.states.clear()
    assert "The server has no model" in text_of(opened())


def test_the_answers_of_a_server_that_stopped_stay(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    app = with_picture(opened())
    reply = service.reply
    service.token_refused = True  # no answer that could be used
    app = rerun_with_new_status(app)
    assert "3 objects" in text_of(app)
    service.token_refused = False
    assert reply == service.reply
    assert "Alive." in text_of(rerun_with_new_status(app))


def test_an_address_without_a_server_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFERENCE_URL", "MANAGEMENT_URL", "METRICS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KEY_FILE", "")
    clear_caches()
    app = opened()
    assert "The server does not answer" in text_of(app)
    assert "Try again" in [button.label for button in app.button]
    clear_caches()


def test_a_missing_key_file_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key_file.json"))
    clear_caches()
    assert "The server is not running yet" in text_of(opened())
    clear_caches()


def test_an_invalid_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_URL", "nonsense")
    clear_caches()
    assert "INFERENCE_URL" in text_of(opened())
    clear_caches()


def test_test_mode_needs_no_server_and_its_answers_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFERENCE_URL", "MANAGEMENT_URL", "METRICS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    clear_caches()
    app = opened()
    app.toggle(key="test_mode").set_value(True).run()
    app = with_picture(app)
    text = text_of(app)
    assert "no model saw this picture" in text
    assert "simulated" in text
    assert "does not answer" not in text
    clear_caches()


def test_the_sample_picture_is_bundled(service: StandIn) -> None:
    app = click(opened(), "Try the sample picture")
    assert service.requested == {"yolov5s": 1}
    assert "objects" in text_of(app)


def test_urls_are_offered_only_if_the_settings_allow_them(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Address" not in str(opened().button_group[0].options)
    monkeypatch.setenv("UI_ALLOW_URLS", "1")
    clear_caches()
    app = opened()
    assert "Address" in str(app.button_group[0].options)
    app.button_group[0].set_value("Address").run()
    app.text_input[0].set_value(f"{service.url}/secret.png")
    click(app, "Fetch")
    assert "is not allowed" in text_of(app) or "not a public address" in text_of(app)
    assert not service.requested


def test_a_visitor_cannot_change_the_server_s_address(service: StandIn) -> None:
    app = opened()
    assert not [field for field in app.text_input if "address" in field.label.lower()]
    session_of(app).permit = session.gate().unlock("secret")
    app.run()
    assert [field for field in app.text_input if "address" in field.label.lower()]


def test_defaults_that_arrive_late_are_not_sent_as_a_visitor_s_choice(service: StandIn) -> None:
    service.states["yolov5s"] = "UNLOADING"
    service.image_size = 320
    app = opened()
    service.states["yolov5s"] = "READY"
    bodies = []

    def record(model: str, body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return detect_all(model, body)

    service.predict = record
    with_picture(rerun_with_new_status(app))
    assert bodies == [png() + b"bus.png"]  # and no option beside it
