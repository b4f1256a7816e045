"""Help pages are where ComfyUI's frontend looks for them."""

from __future__ import annotations

import re

import pytest
from comfyui_server import PACK, ROOT

PAGES = sorted((ROOT / "web" / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_and_its_pictures_are_served(comfyui, page):
    # The frontend derives the folder of the extension from the node's module.
    module = comfyui.http.get(f"/object_info/{page.stem}").json()[page.stem]["python_module"]
    docs = f"/extensions/{module.rpartition('.')[2]}/docs"
    assert docs == f"/extensions/{PACK}/docs"
    for name in (f"{page.stem}.md", f"{page.stem}/zh.md"):
        served = comfyui.http.get(f"{docs}/{name}")
        assert served.content == (page.parent / name).read_bytes()
        # Relative links of both count from the folder of the pages.
        pictures = re.findall(r"!\[[^]]*]\(([^)]+)\)", served.text)
        assert pictures
        for picture in pictures:
            assert comfyui.http.get(f"{docs}/{picture}").content == (page.parent / picture).read_bytes()
