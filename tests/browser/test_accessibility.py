from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.browser.visits import PAGES, Visit, filled


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_serious_fault(visit: Visit, path: str, scheme: str) -> None:
    page = filled(visit(path, scheme=scheme))
    violations = Axe().run(page).response["violations"]
    serious = [
        f"{each['id']}: {each['help']}\n  " + "\n  ".join(node["html"][:200] for node in each["nodes"])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
    assert not serious, "\n".join(serious)
