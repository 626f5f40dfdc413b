"""Where the page finds the service and what it may do there, from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service import environment

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {
    "INFERENCE_URL": "http://127.0.0.1:8080",
    "MANAGEMENT_URL": "http://127.0.0.1:8081",
    "METRICS_URL": "http://127.0.0.1:8082",
}


@dataclass(frozen=True)
class Settings:
    """The service of the page. The tokens in `key_file` are of these addresses and go to no other.

    operator_password: None where operator actions are off. allow_urls: whether a visitor may have the page's server
    fetch a picture from an address. model_store: the folder whose archives an operator may register, or None where the
    page cannot see it.
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
        """The settings that the variables give; docs/configuration.md lists them. Raises SettingsError."""
        inference, management, metrics = (
            environment.address(variables, name, default) for name, default in ADDRESSES.items()
        )
        key_file = variables.get("KEY_FILE", str(ROOT / ".run" / "key_file.json"))
        store = variables.get("MODEL_STORE", str(ROOT / "model_store"))
        return cls(
            inference,
            management,
            metrics,
            Path(key_file).resolve() if key_file else None,
            environment.secret(variables, "UI_OPERATOR_PASSWORD"),
            environment.switch(variables, "UI_ALLOW_URLS"),
            Path(store).resolve() if store and Path(store).is_dir() else None,
        )
