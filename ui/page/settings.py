"""The page's settings, from environment variables: the service it uses and what it may do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service import environment

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_URLS = {
    "INFERENCE_URL": "http://127.0.0.1:8080",
    "MANAGEMENT_URL": "http://127.0.0.1:8081",
    "METRICS_URL": "http://127.0.0.1:8082",
}


@dataclass(frozen=True)
class Settings:
    """The page's settings. The tokens in `key_file` are sent to these URLs only.

    operator_password: None turns operator actions off. allow_urls: whether the page's server may download a picture
    from a URL that a visitor enters. model_store: the folder with the archives that an operator may register, None if
    the page has no access to it.
    """

    inference_url: str
    management_url: str
    metrics_url: str
    key_file: Path | None
    operator_password: str | None = field(repr=False, default=None)
    allow_urls: bool = False
    model_store: Path | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Settings:
        """The settings in these variables; docs/configuration.md lists them. Raises SettingsError."""
        inference_url, management_url, metrics_url = (
            environment.url(variables, name, default) for name, default in DEFAULT_URLS.items()
        )
        key_file = variables.get("KEY_FILE", str(ROOT / ".run" / "key_file.json"))
        store = variables.get("MODEL_STORE", str(ROOT / "model_store"))
        return cls(
            inference_url,
            management_url,
            metrics_url,
            Path(key_file).resolve() if key_file else None,
            environment.secret(variables, "UI_OPERATOR_PASSWORD"),
            environment.switch(variables, "UI_ALLOW_URLS"),
            Path(store).resolve() if store and Path(store).is_dir() else None,
        )
