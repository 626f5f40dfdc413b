from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from page.settings import ROOT, Settings
from service.archives import Archive, is_archive_name, list_archives
from service.environment import SettingsError


def test_without_variables_the_page_uses_the_service_on_this_machine() -> None:
    settings = Settings.from_environment({})
    assert settings.inference_url == "http://127.0.0.1:8080"
    assert settings.management_url == "http://127.0.0.1:8081"
    assert settings.metrics_url == "http://127.0.0.1:8082"
    assert settings.key_file == ROOT / ".run" / "key_file.json"
    assert (settings.operator_password, settings.allow_urls) == (None, False)


def test_variables_are_used(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("pässword \n")
    variables = {
        "INFERENCE_URL": "http://serve:8080/",
        "KEY_FILE": "",
        "MODEL_STORE": str(tmp_path),
        "UI_OPERATOR_PASSWORD": "another",
        "UI_OPERATOR_PASSWORD_FILE": str(secret),
        "UI_ALLOW_URLS": "1",
    }
    settings = Settings.from_environment(variables)
    assert (settings.inference_url, settings.key_file, settings.model_store) == ("http://serve:8080", None, tmp_path)
    assert (settings.operator_password, settings.allow_urls) == ("pässword ", True)
    assert "pässword" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INFERENCE_URL", "localhost:8080"),
        ("INFERENCE_URL", "ftp://serve"),
        ("MANAGEMENT_URL", "http://"),
        ("MANAGEMENT_URL", "http://serve:port"),
        ("METRICS_URL", "http://serve/?x=1"),
        ("METRICS_URL", "http://name:password@serve"),
        ("UI_ALLOW_URLS", "perhaps"),
        ("UI_OPERATOR_PASSWORD_FILE", "/nowhere/secret"),
        ("UI_OPERATOR_PASSWORD_FILE", "/dev/null"),
    ],
)
def test_an_invalid_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("", False),
        ("yolov5s.mar", True),
        ("yolov5s-2.0.mar", True),
        (".mar", False),
        ("-x.mar", False),
        ("../x.mar", False),
        ("a/x.mar", False),
        ("file:///x.mar", False),
        ("http://host/x.mar", False),
        ("x.mar\n", False),
        ("x.zip", False),
        (f"{'x' * 200}.mar", False),
    ],
)
def test_only_a_plain_file_name_is_an_archive_name(file: str, expected: bool) -> None:
    assert is_archive_name(file) == expected


def test_other_files_are_left_out_of_the_list_of_archives(tmp_path: Path) -> None:
    for name, manifest in (
        ("b-2.0.mar", '{"model": {"modelName": "b", "modelVersion": "2.0"}}'),
        ("a.mar", '{"model": {"modelName": "a", "modelVersion": "1.0"}}'),
        ("without.mar", "{}"),
        ("damaged.mar", "{"),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("MAR-INF/MANIFEST.json", manifest)
    (tmp_path / "text.mar").write_text("no zip")
    (tmp_path / "folder.mar").mkdir()
    assert list_archives(tmp_path / "nowhere") == []
    assert list_archives(tmp_path) == [
        Archive("a.mar", "a", "1.0", (tmp_path / "a.mar").stat().st_size),
        Archive("b-2.0.mar", "b", "2.0", (tmp_path / "b-2.0.mar").stat().st_size),
    ]
