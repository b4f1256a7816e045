"""ComfyUI serves our translations, and the English ones are what its nodes say."""

import json

from comfyui_server import ComfyUI
from remote_upscale.tools.locales import LOCALES, PREFIX, english, languages, read


def test_english_is_what_the_nodes_say(comfyui: ComfyUI):
    assert read("en") == english(comfyui.http.get("/object_info").json()), "run tools/locales.py"


def test_every_language_is_served(comfyui: ComfyUI):
    served = comfyui.http.get("/i18n").json()
    assert set(served) == set(languages())
    for language, texts in served.items():
        file = LOCALES / language / "nodeDefs.json"
        assert texts["nodeDefs"] == json.loads(file.read_text("utf-8"))
        assert texts["nodeCategories"] == read(language)["main"]["nodeCategories"]


def test_titles_and_texts_are_found_under_the_nodes_own_names(comfyui: ComfyUI):
    """The frontend looks titles up under the plain id; no id of ours has a character that it replaces."""
    ours = [name for name in comfyui.http.get("/object_info").json() if name.startswith(PREFIX)]
    assert set(ours) == set(comfyui.http.get("/i18n").json()["zh"]["nodeDefs"])
