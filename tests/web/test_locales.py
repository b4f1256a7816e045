"""All languages say the same as English, and Chinese says all of it."""

import json
import re

import pytest
from remote_upscale.api_clients.registry import MODELS
from remote_upscale.tools.locales import LOCALES, differences, languages, paths, read

ENGLISH = read("en")
FILES = sorted(file for file in LOCALES.rglob("*") if file.is_file())
TRANSLATIONS = [language for language in languages() if language != "en"]
NODES = {
    "pixazo/seedvr2-3b-image": "RemoteUpscalePixazoSeedVR2Image",
    "pixazo/seedvr2-3b-video": "RemoteUpscalePixazoSeedVR2Video",
    "pixazo/seedvr2-7b-image": "RemoteUpscalePixazoSeedVR2Image7B",
    "pixazo/topaz-video": "RemoteUpscalePixazoTopazVideo",
    "pixazo/crystal-image": "RemoteUpscalePixazoCrystalImage",
    "apixo/image-upscaler": "RemoteUpscaleApixoImage",
    "fal/seedvr2-image": "RemoteUpscaleFalSeedVR2Image",
    "fal/seedvr2-seamless": "RemoteUpscaleFalSeedVR2Seamless",
}
HELPERS = {"RemoteUpscaleOptions", "RemoteUpscaleVideoToFrames", "RemoteUpscaleFramesToVideo"}


def texts_of(language):
    """Every text of a language by its path."""
    texts = read(language)

    def at(path):
        inside = texts
        for part in path.split("."):
            inside = inside[part]
        return inside

    return {path: at(path) for path in paths(texts)}


def numbers(text):
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def no_key_twice(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LOCALES)))
def test_there_are_only_json_files_that_comfyui_reads(file):
    assert file.name in {"main.json", "nodeDefs.json"}
    json.loads(file.read_text("utf-8"), object_pairs_hook=no_key_twice)


def test_the_languages():
    assert set(languages()) >= {"en", "zh", "ja", "ko", "fr", "de", "es"}


def test_english_has_all_nodes():
    assert set(ENGLISH["nodeDefs"]) == {*NODES.values(), *HELPERS}
    assert set(NODES) == set(MODELS)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.id)
def test_every_parameter_of_a_model_is_there_under_the_providers_name(model):
    inputs = ENGLISH["nodeDefs"][NODES[model.id]]["inputs"]
    for parameter in model.parameters:
        above = f"{parameter.only_with[0]}_" if parameter.only_with else ""
        assert inputs[above + parameter.name]["name"] == parameter.name


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_exactly_what_english_has(language):
    assert differences(ENGLISH, read(language)) == []


def test_differences_are_named():
    there = {"A": {"inputs": {"seed": {"name": "Seed"}}}}
    wanted = {"A": {"inputs": {"seed": {"name": "seed", "tooltip": "Random."}}}}
    assert differences(wanted, there) == ["A.inputs.seed.tooltip is missing"]
    assert differences(there, wanted) == ["A.inputs.seed.tooltip is left over"]


def test_chinese_is_chinese():
    assert {
        path: text for path, text in texts_of("zh").items() if not re.search(r"[\u4e00-\u9fff]", text)
    } == {}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_sentences_are_translated(language):
    texts, english = texts_of(language), texts_of("en")
    sentences = [path for path in english if path.endswith(("tooltip", "description"))]
    assert [path for path in sentences if texts.get(path) == english[path]] == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_prices_and_values_are_those_of_english(language):
    """A price that changes, and a parameter's value that is mentioned, change in every language."""
    english = texts_of("en")
    assert {
        path: missing
        for path, text in texts_of(language).items()
        if (missing := numbers(english[path]) - numbers(text))
    } == {}


@pytest.mark.parametrize("language", languages())
def test_texts_have_no_characters_that_mean_something_to_the_frontend(language):
    """Its translations are templates: braces, bars and at signs would be read as such."""
    assert {path: text for path, text in texts_of(language).items() if set("{}|@") & set(text)} == {}


@pytest.mark.parametrize("language", languages())
def test_texts_are_tidy(language):
    assert {
        path: text
        for path, text in texts_of(language).items()
        if not text or text != text.strip() or "  " in text
    } == {}
