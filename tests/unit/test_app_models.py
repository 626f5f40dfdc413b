from __future__ import annotations

from typing import Any

import pytest
import requests
from streamlit.testing.v1 import AppTest

from page import session
from page.password import Permit
from service.client import Client
from service.error_responses import error_of_response
from support.app_test import clear_caches, click, service, session_of, text_of
from support.app_test import opened as opened_at_detect
from support.stand_in import StandIn

__all__ = ["service"]

Changes = list[tuple[str, str]]


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """The changes that the page requests from the server, which does not get them."""
    requested: Changes = []
    real = Client.call

    def call(self: Client, api: Any, method: str, path: str, **arguments: Any) -> requests.Response:
        if method != "GET":
            requested.append((method, path))
            return requests.Response()
        return real(self, api, method, path, **arguments)

    monkeypatch.setattr(Client, "call", call)
    return requested


def opened() -> AppTest:
    app = opened_at_detect().switch_page("views/models.py").run()
    assert not app.exception
    return app


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def unlock(app: AppTest, password: str) -> AppTest:
    app.text_input[0].set_value(password)
    return click(app, "Unlock")


def test_every_visitor_sees_the_served_models(service: StandIn) -> None:
    text = text_of(opened())
    for fact in ("Version 1.0, ready, default", "1 of 1", "0, at most 100", "fp32", "openvino", "Worker 9000"):
        assert fact in text


def test_without_a_password_the_page_shows_how_to_set_one(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UI_OPERATOR_PASSWORD")
    clear_caches()
    app = opened()
    assert "Operator actions are off" in text_of(app)
    assert "UI_OPERATOR_PASSWORD" in app.code[0].value
    assert not app.text_input


def test_a_wrong_password_unlocks_nothing(service: StandIn, changes: Changes) -> None:
    app = unlock(opened(), "wrong")
    assert "The password was not accepted" in text_of(app)
    assert labels(app) == {"Unlock"}
    assert changes == []


@pytest.mark.parametrize("forged", [True, "secret", Permit("guess")])
def test_a_forged_session_unlocks_nothing(service: StandIn, forged: object) -> None:
    app = opened()
    session_of(app).permit = forged  # type: ignore[assignment]
    app.session_state["operator"] = True
    app.run()
    assert labels(app) == {"Unlock"}


def test_an_operator_acts_until_locked(service: StandIn, changes: Changes) -> None:
    app = unlock(opened(), "secret")
    assert {"Scale", "Unload", "Lock", "Swap", "Register", "Make default", "Unregister"} <= labels(app)
    next(field for field in app.number_input if field.label == "Workers").set_value(3)
    click(app, "Scale")
    assert changes == [("PUT", "/models/yolov5s/1.0")]
    assert app.success[0].value == "yolov5s 1.0 has 3 workers."
    click(app, "Lock")
    assert labels(app) == {"Unlock"}


def test_an_invalidated_permit_changes_nothing(service: StandIn, changes: Changes) -> None:
    app = unlock(opened(), "secret")
    permit = session_of(app).permit
    assert permit
    session.gate().lock(permit)
    button = next(button for button in app.button if button.label == "Unload")
    button.click().run()
    assert changes == []
    assert labels(app) == {"Unlock"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            error_of_response(405, "MethodNotAllowedException", "Requested method is not allowed"),
            "without an operator password",
        ),
        (error_of_response(409, "ConflictStatusException", "already registered"), "Unregister that version first"),
        (error_of_response(500, "InternalServerException", "Failed to start workers"), "The workers did not start"),
    ],
)
def test_a_refused_change_is_explained(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    app = unlock(opened(), "secret")
    real = Client.call

    def call(self: Client, api: Any, method: str, path: str, **arguments: Any) -> requests.Response:
        if method != "GET":
            raise error
        return real(self, api, method, path, **arguments)

    monkeypatch.setattr(Client, "call", call)
    assert message in text_of(click(app, "Scale"))


@pytest.mark.parametrize(
    ("state", "label"), [("UNLOADING", "starting"), ("NONE", "not loaded"), ("GONE", "no running worker")]
)
def test_each_state_has_its_label(service: StandIn, state: str, label: str) -> None:
    service.states = {"yolov5s": state}
    assert f"Version 1.0, {label}, default" in text_of(opened())


def test_without_models_the_page_shows_what_to_do(service: StandIn) -> None:
    service.states = {}
    assert "The server has no models" in text_of(unlock(opened(), "secret"))


def test_a_server_that_does_not_answer_is_explained(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFERENCE_URL", "MANAGEMENT_URL", "METRICS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    clear_caches()
    assert "The server does not answer" in text_of(unlock(opened(), "secret"))


def test_without_metrics_the_rest_of_the_page_is_shown(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_URL", "http://127.0.0.1:9")
    clear_caches()
    text = text_of(opened())
    assert "no answer from http" in text
    assert "Version 1.0, ready, default" in text
