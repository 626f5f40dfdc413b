"""The instructions of the READMEs work, as far as this can be tested without a cluster."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import get_args

import kubernetes_validate  # type: ignore[import-untyped]
import yaml

from service import tokens
from support.kubernetes import gateway_api
from support.kubernetes.manifests import COMPONENTS, KSERVE, KUBERNETES, find_manifest, pod_of, program, rendered

README = (KUBERNETES / "README.md").read_text()
ROOT = KUBERNETES.parents[1]
PROXY = (KUBERNETES / "proxy" / "haproxy.cfg").read_text()


def test_yaml_in_the_readme_is_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        for manifest in yaml.safe_load_all(block):
            if manifest["kind"] in gateway_api.SCHEMAS:
                gateway_api.validate(manifest)
            else:
                kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_the_commands_of_the_readme_create_the_mounted_secrets(tmp_path: Path) -> None:
    """The commands are run without a cluster: kubectl prints what it would send."""
    (block,) = (each for each in re.findall(r"```console\n(.*?)```", README, re.DOTALL) if "openssl" in each)
    script = "\n".join(line.removeprefix("$ ").removeprefix("> ") for line in block.splitlines())
    program("openssl")
    shim = tmp_path / "bin" / "kubectl"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho ---\nexec {program("kubectl")} "$@" --dry-run=client -o yaml\n')
    shim.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "KUBECONFIG": str(tmp_path / "none")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    secrets = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert {secret["metadata"]["namespace"] for secret in secrets} == {"yolov5"}
    manifests = rendered(KUBERNETES / "overlays" / "cpu")
    mounted = {
        volume["secret"]["secretName"]
        for name in ("torchserve", "page")
        for volume in (pod_of(find_manifest(manifests, "Deployment", name)) or {})["volumes"]
        if "secret" in volume
    }
    assert {secret["metadata"]["name"] for secret in secrets} == mounted
    files = set().union(*(secret["data"] for secret in secrets))
    assert files == {*re.findall(r"/etc/haproxy/tokens/([\w-]+)", PROXY), "key_file.json"}
    for api in get_args(tokens.Api):
        token = tokens.read_token(tmp_path / "secrets" / "key_file.json", api)
        assert (tmp_path / "secrets" / f"{api}-tokens").read_text() == f"{token}\n"
        assert len(token) == 64
    assert (tmp_path / "secrets" / "key_file.json").stat().st_mode & 0o077 == 0


def test_files_named_in_the_readmes_exist() -> None:
    for folder in (KUBERNETES, KSERVE):
        text = (folder / "README.md").read_text()
        paths = re.findall(r"(?:deploy/(?:kubernetes|kserve))/[\w./-]+\w", text)
        assert paths
        for path in paths:
            assert (ROOT / path).exists(), path
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (folder / link).exists(), link


def test_the_readme_names_all_components() -> None:
    assert [each for each in COMPONENTS if f"components/{each}" not in README] == []
