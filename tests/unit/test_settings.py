from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from server.runtime.settings import ROOT, Settings
from server.runtime.sizing import BATCH_SIZE, default_workers
from service.environment import SettingsError

VARIABLES = (
    "INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT", "UI_PORT", "WORKERS_PER_MODEL", "TOKEN_EXPIRATION_MIN",
    "UI_OPERATOR_PASSWORD", "RUN_DIR", "MODEL_STORE", "LOG_TO", "INFERENCE_HOST", "MANAGEMENT_HOST",
)  # fmt: skip


@pytest.fixture(autouse=True)
def unset_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_every_variable_has_a_default() -> None:
    settings = Settings.from_environment()
    assert settings.inference_url == "http://127.0.0.1:8080"
    assert settings.management_url == "http://127.0.0.1:8081"
    assert settings.metrics_url == "http://127.0.0.1:8082"
    assert settings.ui_url == "http://127.0.0.1:8501"
    assert settings.workers_per_model >= 1
    assert (settings.token_minutes, settings.operator) == (365 * 24 * 60, False)
    assert (settings.run, settings.model_store) == (ROOT / ".run", ROOT / "model_store")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[:6]:  # compose passes on an unset variable as an empty one
        monkeypatch.setenv(name, "")
    assert Settings.from_environment().inference_port == 8080
    assert Settings.from_environment().workers_per_model >= 1


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = ("1", "2", "3", "4", "5", "6", "secret", str(tmp_path), str(tmp_path / "s"), "console", "0.0.0.0")
    for name, value in zip(VARIABLES, (*values, "127.0.0.2"), strict=True):
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings == Settings(
        "0.0.0.0", "127.0.0.2", 1, 2, 3, 4, 5, 6, True, True, True, tmp_path, tmp_path / "s"
    )  # fmt: skip
    assert settings.inference_url == "http://127.0.0.1:1"  # 0.0.0.0 is no address to connect to
    assert (settings.management_url, settings.metrics_url) == ("http://127.0.0.2:2", "http://127.0.0.2:3")


def test_the_model_api_can_be_enabled_without_an_operator_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, enabled in (("", False), ("false", False), ("true", True)):
        monkeypatch.setenv("ENABLE_MODEL_API", value)
        assert Settings.from_environment().operator is enabled


def test_tokens_can_be_off_only_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_AUTHORIZATION", "off")
    assert not Settings.from_environment().tokens
    monkeypatch.setenv("MANAGEMENT_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match=r"MANAGEMENT_HOST is 0\.0\.0\.0"):
        Settings.from_environment()


@pytest.mark.parametrize(("cores", "workers"), [(1, 2), (2, 2), (4, 2), (5, 3), (8, 3), (64, 17)])
def test_the_number_of_workers_follows_from_the_cores(cores: int, workers: int) -> None:
    assert default_workers(cores) == workers


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("INFERENCE_PORT", "x", "INFERENCE_PORT is 'x'; expected a port from 1 to 65535"),
        ("MANAGEMENT_HOST", "nobody.invalid", "MANAGEMENT_HOST is 'nobody.invalid'; expected an IPv4 address"),
        ("LOG_TO", "paper", "LOG_TO is 'paper'; expected files or console"),
        ("METRICS_PORT", "65536", "METRICS_PORT is '65536'"),
        ("WORKERS_PER_MODEL", "0", "WORKERS_PER_MODEL is '0'; expected a number of workers from 1 to 64"),
        ("UI_PORT", "http", "UI_PORT is 'http'"),
        ("TOKEN_EXPIRATION_MIN", "-1", "TOKEN_EXPIRATION_MIN is '-1'; expected minutes from 1 to"),
        ("UI_OPERATOR_PASSWORD_FILE", "/nowhere/secret", "UI_OPERATOR_PASSWORD_FILE is '/nowhere/secret'"),
        ("MANAGEMENT_PORT", "8080", "expected four different ports"),  # the inference API's
    ],
)
def test_an_invalid_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert message in str(caught.value)


def test_the_batch_size_is_that_of_the_archives() -> None:
    config = yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text())
    assert config["batchSize"] == BATCH_SIZE
