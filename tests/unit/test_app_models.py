from __future__ import annotations

from typing import Any

import pytest
import requests
from streamlit.testing.v1 import AppTest

from page import session
from page.password import Permit
from service.client import Client, Failed, Refused
from support.app_test import click, forget, service, text_of
from support.app_test import opened as opened_at_detect
from support.stand_in import StandIn

__all__ = ["service"]

Changes = list[tuple[str, str]]


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """What the page would change of the server."""
    made: Changes = []
    real = Client.call

    def call(self: Client, api: Any, method: str, path: str, **arguments: Any) -> requests.Response:
        if method != "GET":
            made.append((method, path))
            return requests.Response()
        return real(self, api, method, path, **arguments)

    monkeypatch.setattr(Client, "call", call)
    return made


def opened() -> AppTest:
    app = opened_at_detect().switch_page("views/models.py").run()
    assert not app.exception
    return app


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def unlock(app: AppTest, password: str) -> AppTest:
    app.text_input[0].set_value(password)
    return click(app, "Unlock")


def test_everybody_sees_what_is_served(service: StandIn) -> None:
    text = text_of(opened())
    for words in ("Version 1.0, ready, default", "1 of 1", "0, at most 100", "fp32", "openvino", "Worker 9000"):
        assert words in text


def test_without_a_password_it_says_how_to_get_one(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UI_OPERATOR_PASSWORD")
    forget()
    app = opened()
    assert "Operator actions are off" in text_of(app)
    assert "UI_OPERATOR_PASSWORD" in app.code[0].value
    assert not app.text_input


def test_a_wrong_password_unlocks_nothing(service: StandIn, changes: Changes) -> None:
    app = unlock(opened(), "wrong")
    assert "Nothing was unlocked" in text_of(app)
    assert labels(app) == {"Unlock"}
    assert changes == []


@pytest.mark.parametrize("forged", [True, "secret", Permit("guess")])
def test_a_forged_session_unlocks_nothing(service: StandIn, forged: object) -> None:
    app = opened()
    app.session_state["permit"] = forged
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


def test_a_permit_that_was_taken_back_changes_nothing(service: StandIn, changes: Changes) -> None:
    app = unlock(opened(), "secret")
    session.gate().lock(app.session_state["permit"])
    button = next(each for each in app.button if each.label == "Unload")
    button.click().run()
    assert changes == []
    assert labels(app) == {"Unlock"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Refused("Requested method is not allowed", 405, "MethodNotAllowedException"), "without an operator password"),
        (Refused("already registered", 409, "ConflictStatusException"), "Unregister that version first"),
        (Failed("Failed to start workers", 500, "InternalServerException"), "The workers did not start"),
    ],
)
def test_what_the_server_refuses_is_explained(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    app = unlock(opened(), "secret")
    real = Client.call

    def call(self: Client, api: Any, method: str, path: str, **arguments: Any) -> requests.Response:
        if method != "GET":
            raise error
        return real(self, api, method, path, **arguments)

    monkeypatch.setattr(Client, "call", call)
    assert words in text_of(click(app, "Scale"))


@pytest.mark.parametrize(
    ("state", "words"), [("UNLOADING", "starting"), ("NONE", "not loaded"), ("GONE", "worker gone")]
)
def test_each_state_has_its_word(service: StandIn, state: str, words: str) -> None:
    service.states = {"yolov5s": state}
    assert f"Version 1.0, {words}, default" in text_of(opened())


def test_a_server_without_models_says_what_to_do(service: StandIn) -> None:
    service.states = {}
    assert "The server has no models" in text_of(unlock(opened(), "secret"))


def test_a_server_that_is_gone_is_a_sentence(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFERENCE_URL", "MANAGEMENT_URL", "METRICS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    forget()
    assert "The server does not answer" in text_of(unlock(opened(), "secret"))


def test_metrics_that_are_away_take_nothing_else_with_them(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_URL", "http://127.0.0.1:9")
    forget()
    text = text_of(opened())
    assert "no answer from http" in text
    assert "Version 1.0, ready, default" in text
