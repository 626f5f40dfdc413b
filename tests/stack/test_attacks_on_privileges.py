"""Attempts to write, to gain privileges, and to operate the models without the password. All must fail."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from support.browser.visits import visiting
from support.stack.stack import Stack


@pytest.mark.parametrize("service", ["torchserve", "ui"])
def test_only_necessary_folders_are_writable(stack: Stack, service: str) -> None:
    code = (
        "import os\n"
        "found = []\n"
        "for folder, names, files in os.walk('/'):\n"
        "    if folder.split('/')[1] in ('proc', 'sys', 'dev'): names.clear(); continue\n"
        "    try: open(os.path.join(folder, 'x'), 'w').close(); os.remove(os.path.join(folder, 'x'))\n"
        "    except OSError: continue\n"
        "    found.append(folder); names.clear()\n"
        "print(sorted(found))"
    )
    allowed = {"torchserve": "['/run/service', '/tmp']", "ui": "['/tmp']"}
    assert stack.python(service, code).stdout.strip() == allowed[service]


@pytest.mark.parametrize("service", ["torchserve", "ui"])
def test_privileges_cannot_be_gained(stack: Stack, service: str) -> None:
    config = stack.inspect(service)["HostConfig"]
    assert config["ReadonlyRootfs"]
    assert not config["Privileged"]
    assert config["Memory"] > 0
    assert config["PidsLimit"] > 0
    code = (
        "import os, subprocess\n"
        "status = dict(l.split(':\\t') for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)\n"
        "print(os.getuid(), int(status['CapEff'], 16), int(status['CapBnd'], 16), status['NoNewPrivs'].strip())\n"
        "for attempt in (lambda: os.setuid(0), lambda: os.chown('/tmp', 0, 0), lambda: os.chroot('/tmp')):\n"
        "    try: attempt(); print('gained')\n"
        "    except OSError: pass\n"
        "open('/tmp/run', 'w').write('#!/bin/sh\\necho gained'); os.chmod('/tmp/run', 0o4755)\n"
        "try: print(subprocess.run(['/tmp/run'], capture_output=True, text=True).stdout)\n"
        "except OSError: pass\n"
        "os.remove('/tmp/run')\n"
    )
    assert stack.python(service, code).stdout.strip() == "10001 0 0 1"


def test_the_page_without_the_password_changes_nothing(stack: Stack, chromium: Browser) -> None:
    before = stack.registered()
    visits = visiting(chromium, stack.ui_url)
    page = next(visits)("models")
    for guess in ("", "wrong", "secret\n2", "' or 1=1"):
        page.get_by_label("Operator password").fill(guess)
        page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("tab")).to_have_count(0)
    for name in ("Scale", "Swap", "Register", "Unregister", "Change the server"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert next(visits, None) is None
    assert stack.registered() == before
