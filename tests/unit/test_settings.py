from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from server.settings import BATCH_SIZE, ROOT, Settings, SettingsError, default_workers

VARIABLES = (
    "INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT", "UI_PORT", "WORKERS_PER_MODEL", "TOKEN_EXPIRATION_MIN",
    "UI_OPERATOR_PASSWORD", "RUN_DIR", "MODEL_STORE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_everything_has_a_default() -> None:
    settings = Settings.from_environment()
    assert settings.inference_url == "http://127.0.0.1:8080"
    assert settings.management_url == "http://127.0.0.1:8081"
    assert settings.metrics_url == "http://127.0.0.1:8082"
    assert settings.ui_url == "http://127.0.0.1:8501"
    assert settings.workers_per_model >= 1
    assert (settings.token_minutes, settings.operator) == (365 * 24 * 60, False)
    assert (settings.run, settings.model_store) == (ROOT / ".run", ROOT / "model_store")


def test_variables_decide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = ("1", "2", "3", "4", "5", "6", "secret", str(tmp_path), str(tmp_path / "s"))
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == Settings(1, 2, 3, 4, 5, 6, True, tmp_path, tmp_path / "s")


@pytest.mark.parametrize(("cores", "workers"), [(1, 2), (2, 2), (4, 2), (5, 3), (8, 3), (64, 17)])
def test_there_is_a_worker_more_than_the_cores_need(cores: int, workers: int) -> None:
    assert default_workers(cores) == workers


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("INFERENCE_PORT", "", "INFERENCE_PORT is ''; expected a port from 1 to 65535"),
        ("METRICS_PORT", "65536", "METRICS_PORT is '65536'"),
        ("WORKERS_PER_MODEL", "0", "WORKERS_PER_MODEL is '0'; expected a number of workers from 1 to 64"),
        ("UI_PORT", "http", "UI_PORT is 'http'"),
        ("TOKEN_EXPIRATION_MIN", "-1", "TOKEN_EXPIRATION_MIN is '-1'; expected minutes from 1 to"),
        ("UI_OPERATOR_PASSWORD_FILE", "/nowhere/secret", "UI_OPERATOR_PASSWORD_FILE is '/nowhere/secret'"),
        ("MANAGEMENT_PORT", "8080", "expected four ports"),  # the inference API's
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert words in str(caught.value)


def test_workers_are_reckoned_with_the_batch_that_archives_have() -> None:
    config = yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text())
    assert config["batchSize"] == BATCH_SIZE
