import pytest
from remote_upscale.api_clients.registry import MODELS


def test_the_table_names_every_model_with_price_and_limits(cli):
    ran = cli("models")
    _head, *lines = ran.out.splitlines()
    assert ran.status == 0
    assert [line.split()[0] for line in lines] == list(MODELS)
    assert len({line.index("→", line.index(" ")) for line in lines}) == 1  # columns are aligned
    apixo = next(line for line in lines if line.startswith("apixo/image-upscaler"))
    assert "$0.01 per image" in apixo
    assert "up to 10 MB" in apixo
    video = next(line for line in lines if line.startswith("pixazo/topaz-video"))
    assert "video → video" in video
    assert "unknown" in video


def test_json_tells_every_parameter_of_every_model(cli):
    documents = cli("models", "--json").documents
    assert [document["id"] for document in documents] == list(MODELS)
    for document in documents:
        declared = MODELS[document["id"]].parameters
        assert [parameter["name"] for parameter in document["parameters"]] == [p.name for p in declared]
        assert all(parameter["help"] for parameter in document["parameters"])
    by_name = {parameter["name"]: parameter for parameter in documents[0]["parameters"]}
    factor = by_name["upscale_factor"]
    assert (factor["type"], factor["min"], factor["max"], factor["default"]) == ("number", 1, 8, 2)
    assert factor["only_with"] == {"name": "upscale_mode", "value": "factor"}
    assert factor["required"] is False
    assert factor["choices"] is None
    assert by_name["output_format"]["choices"] == ["jpg", "png", "webp"]
    assert by_name["output_format"]["min"] is None
    topaz = next(d for d in documents if d["id"] == "pixazo/topaz-video")
    chosen = [p for p in topaz["parameters"] if p["type"] == "integer" and p["choices"]]
    assert chosen
    assert all(p["min"] is None and p["max"] is None for p in chosen)
    fal = next(d for d in documents if d["id"] == "fal/seedvr2-image")
    assert [p["step"] for p in fal["parameters"] if p["name"] == "noise_scale"] == [0.001]


@pytest.mark.parametrize("model", MODELS)
def test_one_model_s_parameters_as_help(cli, model):
    ran = cli("models", model)
    assert ran.status == 0
    for parameter in MODELS[model].parameters:
        assert f"-p {parameter.name}=" in ran.out
        assert parameter.allowed in " ".join(ran.out.split())


def test_one_model_as_json(cli):
    assert [d["id"] for d in cli("models", "fal/seedvr2-image", "--json").documents] == ["fal/seedvr2-image"]


def test_an_unknown_model_is_refused_with_a_suggestion(cli):
    ran = cli("models", "fal/seedvr-image")
    assert (ran.status, ran.out) == (2, "")
    assert "Did you mean fal/seedvr2-image?" in ran.err
