"""The page in Streamlit's AppTest, without a browser, against a stand-in for the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from page import session
from page.session import Session
from service import client
from support.detections import png
from support.stand_in import StandIn, standing_in

APP = Path(__file__).parents[2] / "ui" / "app.py"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in that the page uses as its service."""
    with standing_in() as stand_in:
        for name in ("INFERENCE_URL", "MANAGEMENT_URL", "METRICS_URL"):
            monkeypatch.setenv(name, stand_in.url)
        monkeypatch.setenv("KEY_FILE", "")
        monkeypatch.setenv("UI_OPERATOR_PASSWORD", "secret")
        monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.0)
        clear_caches()
        yield stand_in
        clear_caches()


def clear_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def opened() -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert not app.exception
    return app


def rerun_with_new_status(app: AppTest) -> AppTest:
    """The page some seconds later, when it requests the state of the service again."""
    st.cache_data.clear()
    app.run()
    assert not app.exception
    return app


def with_picture(app: AppTest, *names: str) -> AppTest:
    """The page with pictures of these names in its field."""
    files = [(name, png() + name.encode(), "image/png") for name in names or ("bus.png",)]
    app.file_uploader[0].set_value(files).run()
    assert not app.exception
    return app


def text_of(app: AppTest) -> str:
    """All texts on the page, and its HTML."""
    parts = [*app.markdown, *app.error, *app.warning, *app.info, *app.caption, *app.title, *app.subheader]
    tables = [element.proto.body for element in app.get("html")]
    return "\n".join([*(str(part.value) for part in parts), *tables]).replace("\\", "")


def session_of(app: AppTest) -> Session:
    """The state of the page's session."""
    state: Session = app.session_state[session.KEY]
    return state


def click(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app
