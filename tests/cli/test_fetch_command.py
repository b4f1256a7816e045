"""`remote-upscale fetch`: the result of a job that was ordered elsewhere."""

import json
import signal
import threading
import urllib.request
from pathlib import Path

import pytest
from faults import state
from PIL import Image

PIXAZO, APIXO, FAL = "pixazo/crystal-image", "apixo/image-upscaler", "fal/seedvr2-image"


def post(url, body, headers):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read())


@pytest.fixture
def ordered(remote, key, picture):
    """Orders a job as another program would, and gives its id."""

    def order(model):
        token = post(f"{remote.roots.fal_rest}/storage/auth/token", {}, {"Authorization": f"Key {key}"})[
            "token"
        ]
        upload = urllib.request.Request(
            f"{remote.roots.fal_cdn}/files/upload",
            picture("elsewhere.png").read_bytes(),
            {"Authorization": f"Bearer {token}", "Content-Type": "image/png"},
        )
        with urllib.request.urlopen(upload, timeout=20) as reply:
            link = json.loads(reply.read())["access_url"]
        match model:
            case "pixazo/crystal-image":
                body, headers = {"image": link}, {"Ocp-Apim-Subscription-Key": key}
                return post(f"{remote.roots.pixazo}/upscaler/v1/upscale", body, headers)["request_id"]
            case "apixo/image-upscaler":
                body = {"request_type": "async", "input": {"image_urls": [link]}}
                url = f"{remote.roots.apixo}/generateTask/image-upscaler"
                return post(url, body, {"Authorization": f"Bearer {key}"})["data"]["taskId"]
            case _:
                url = f"{remote.roots.fal_queue}/fal-ai/seedvr/upscale/image"
                return post(url, {"image_url": link}, {"Authorization": f"Key {key}"})["request_id"]

    return order


@pytest.mark.parametrize(("model", "suffix"), [(PIXAZO, ".png"), (APIXO, ".jpg"), (FAL, ".jpg")])
def test_a_result_is_fetched_into_a_folder(cli, remote, ordered, model, suffix):
    request_id = ordered(model)
    ran = cli("fetch", model, request_id, "-o", "out/", "--json")
    assert (ran.status, ran.err) == (0, "")
    [document] = ran.documents
    assert (document["input"], document["request_id"]) == (request_id, request_id)
    assert (document["state"], document["reused"]) == ("completed", True)
    assert Path(document["output"]) == Path(f"out/{request_id}{suffix}").absolute()
    with Image.open(document["output"]) as image:
        assert image.width > 24
    assert len(remote.jobs) == 1
    assert [row["request_id"] for row in cli("jobs", "--json").documents] == [request_id]


def test_a_result_is_fetched_to_a_file_and_told_in_words(cli, ordered):
    request_id = ordered(PIXAZO)
    ran = cli("fetch", PIXAZO, request_id, "-o", "big.png")
    assert ran.status == 0
    assert ran.out.startswith(f"{request_id} → ")
    assert "ordered elsewhere" in ran.out
    assert Path("big.png").is_file()
    again = cli("fetch", PIXAZO, request_id, "-o", "again.jpg", "--json")
    assert again.status == 0
    assert again.documents[0]["notes"] == ["The result is a png file, although its name ends differently."]


def test_an_unknown_job_is_a_failed_input(cli, remote):
    ran = cli("fetch", PIXAZO, "upscaler_none", "-o", "big.png", "--json")
    assert ran.status == 1
    [document] = ran.documents
    assert (document["state"], document["error"]["kind"]) == ("failed", "not_found")
    assert (document["request_id"], document["reused"]) == ("upscaler_none", True)
    assert not Path("big.png").exists()


def test_an_unknown_model_is_an_unusable_argument(cli, remote):
    ran = cli("fetch", "pixazo/crystal-imag", "x", "-o", "big.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (2, "invalid_parameter")
    assert "pixazo/crystal-image" in cli("fetch", "pixazo/crystal-imag", "x", "-o", "big.png").err
    assert remote.requests == []


def test_what_is_no_request_id_is_an_unusable_argument(cli, remote):
    ran = cli("fetch", PIXAZO, "../../admin", "-o", "big.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (2, "invalid_parameter")
    assert remote.requests == []


def test_without_a_key_nothing_is_asked(cli, remote, monkeypatch):
    monkeypatch.delenv("PIXAZO_API_KEY")
    ran = cli("fetch", PIXAZO, "upscaler_1", "-o", "big.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (3, "authentication")
    assert remote.requests == []


def test_a_job_that_is_stopped_while_it_is_waited_for_can_be_resumed(start, cli, remote, ordered):
    request_id = ordered(PIXAZO)
    remote.faults.add("status", state("PROCESSING"), times=None)
    process = start("fetch", PIXAZO, request_id, "-o", "big.png", "--json")
    patience = threading.Event()
    while not any("/status/" in request.path for request in remote.requests):
        patience.wait(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["error"]["kind"] == "cancelled"
    assert "Traceback" not in err
    remote.faults.clear()
    assert cli("fetch", PIXAZO, request_id, "-o", "big.png").status == 0
    assert len(remote.jobs) == 1
