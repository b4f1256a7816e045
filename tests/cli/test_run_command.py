import os
import sys
from pathlib import Path

import pytest
from faults import error, finished
from PIL import Image

MODEL = "pixazo/crystal-image"
FIELDS = ["input", "output", "model", "request_id", "state", "reused", "cost_usd", "seconds", "notes"]


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def quick(remote):
    """Every Pixazo job is done as soon as it is submitted."""
    remote.faults.add("submit", finished(), times=None, provider="pixazo")
    return remote


def submits(remote):
    return [request for request in remote.requests if request.path.endswith("/upscaler/v1/upscale")]


def test_one_file_to_one_file(cli, quick, picture):
    ran = cli("run", MODEL, picture("photo.png"), "-o", "new/big.png", "-p", "scale_factor=4", "--json")
    (document,) = ran.documents
    assert list(document) == FIELDS
    assert ran.status == 0
    assert ran.err == ""
    assert document["input"] == "photo.png"
    assert Path(document["output"]) == Path("new/big.png").absolute()
    assert (document["model"], document["state"], document["reused"]) == (MODEL, "completed", False)
    assert document["request_id"]
    assert document["cost_usd"] == 0.12
    assert document["seconds"] > 0
    with Image.open("new/big.png") as image:
        assert image.size == (96, 64)
    assert names("new") == ["big.png"]


def test_the_same_again_is_not_paid_again_unless_asked(cli, quick, picture):
    photo = picture()
    words = ["run", MODEL, photo, "--json", "-o"]
    first = cli(*words, "a.png").documents[0]
    again = cli(*words, "b.png").documents[0]
    assert (again["reused"], again["request_id"]) == (True, first["request_id"])
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert len(submits(quick)) == 1
    assert "taken from an earlier job" in cli("run", MODEL, photo, "-o", "c.png").out
    fresh = cli(*words, "d.png", "--no-reuse").documents[0]
    assert fresh["reused"] is False
    assert fresh["request_id"] != first["request_id"]
    assert len(submits(quick)) == 2


def test_many_inputs_come_back_in_order_and_the_bad_ones_stop_none_of_the_others(cli, quick, picture):
    picture("in/a.png")
    picture("in/b.png")
    Path("in/c.png").write_text("a letter")
    ran = cli("run", MODEL, "gone.png", "in/*.png", "*.tif", picture("d.png"), "-o", "out", "--json")
    assert ran.status == 1
    told = [(document["input"], document["state"]) for document in ran.documents]
    assert told == [
        ("gone.png", "failed"),
        (str(Path("in/a.png")), "completed"),
        (str(Path("in/b.png")), "completed"),
        (str(Path("in/c.png")), "failed"),
        ("*.tif", "failed"),
        ("d.png", "completed"),
    ]
    for document in ran.documents:
        if document["state"] == "failed":
            assert list(document) == [*FIELDS, "error"]
            assert document["error"]["kind"] == "invalid_input"
            assert document["error"]["message"]
            assert (document["output"], document["request_id"], document["cost_usd"]) == (None, None, None)
    assert names("out") == ["a.png", "b.png", "d.png"]
    assert ran.err == ""


@pytest.mark.parametrize(
    ("words", "kind", "needle"),
    [
        (["pixazo/crystal-imag", "a.png", "b.png", "-o", "x"], "invalid_parameter", "pixazo/crystal-image"),
        (
            [MODEL, "a.png", "b.png", "-o", "x", "-p", "scale_factor=5"],
            "invalid_parameter",
            "scale_factor is 5",
        ),
        ([MODEL, "a.png", "b.png", "-o", "x", "-p", "scale=2"], "invalid_parameter", "scale_factor"),
        ([MODEL, "a.png", "b.png", "-o", "x", "-p", "scale_factor"], "invalid_parameter", "NAME=VALUE"),
        ([MODEL, "a.png", "b.png", "-o", "x", "-p", "=3"], "invalid_parameter", "NAME=VALUE"),
        (
            [MODEL, "a.png", "b.png", "-o", "x", "-p", "scale_factor="],
            "invalid_parameter",
            "scale_factor is empty, but it must be 2, 4, 6 or 8.",
        ),
        (
            [MODEL, "a.png", "b.png", "-o", "x", "-p", "scale_factor=2", "-p", "scale_factor=2"],
            "invalid_parameter",
            "twice",
        ),
        (["fal/seedvr2-image", "a.png", "-o", "a.png"], "invalid_parameter", "the input itself"),
        (
            ["fal/seedvr2-image", "a.png", "-o", "b.jpg", "-p", "output_format=webp"],
            "invalid_parameter",
            "output_format is webp",
        ),
        ([MODEL, "a.png", "b.png", "-o", "a.png/x"], "invalid_parameter", "cannot be created"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_sent(cli, remote, picture, words, kind, needle):
    picture("a.png")
    picture("b.png")
    plain = cli("run", *words)
    assert (plain.status, plain.out) == (2, "")
    assert needle in plain.err
    ran = cli("run", *words, "--json")
    assert ran.status == 2
    assert [d["input"] for d in ran.documents] == [word for word in words[1:3] if word in ("a.png", "b.png")]
    assert {d["error"]["kind"] for d in ran.documents} == {kind}
    assert remote.requests == []
    assert names(".") == ["a.png", "b.png"]


def test_without_a_key_nothing_is_sent(cli, remote, picture, monkeypatch):
    monkeypatch.delenv("PIXAZO_API_KEY")
    picture()
    ran = cli("run", MODEL, "photo.png", "https://x.test/a.png", "-o", "out", "--json")
    assert ran.status == 3
    assert [d["error"]["kind"] for d in ran.documents] == ["authentication"] * 2
    assert "PIXAZO_API_KEY" in ran.documents[0]["error"]["hint"]
    assert ran.err == ""
    plain = cli("run", MODEL, "photo.png", "-o", "out.png")
    assert (plain.status, plain.out) == (3, "")
    assert "PIXAZO_API_KEY" in plain.err
    assert remote.requests == []


def test_without_hosting_files_are_not_sent(cli, remote, picture, monkeypatch):
    monkeypatch.delenv("FAL_KEY")
    picture()
    ran = cli("run", MODEL, "photo.png", "-o", "out.png", "--json")
    assert ran.status == 3
    assert ran.documents[0]["error"]["kind"] == "hosting"
    assert remote.requests == []


@pytest.mark.parametrize("variable", ["REMOTE_UPSCALE_HOSTING", "REMOTE_UPSCALE_PIXAZO_URL"])
def test_an_unusable_setting_is_an_unusable_argument(cli, picture, monkeypatch, variable):
    monkeypatch.setenv(variable, "ftp://nowhere")
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert ran.status == 2
    assert variable in ran.documents[0]["error"]["message"]


def test_an_unusable_home_is_told(cli, remote, home, picture):
    (home / "ledger.sqlite").mkdir(parents=True)
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert ran.status == 1
    assert ran.documents[0]["error"]["kind"] == "storage"
    assert "REMOTE_UPSCALE_HOME" in ran.documents[0]["error"]["hint"]


def test_a_dry_run_sends_nothing_and_tells_size_and_cost(cli, remote, picture, monkeypatch):
    for name in ("PIXAZO_API_KEY", "APIXO_API_KEY", "FAL_KEY"):
        monkeypatch.delenv(name)
    words = ["run", MODEL, picture(), "gone.png", "https://x.test/a.png", "-o", "out", "--dry-run"]
    ran = cli(*words, "--json")
    assert ran.status == 1
    photo, gone, link = ran.documents
    assert list(photo) == [*FIELDS, "dry_run", "width", "height"]
    assert (photo["state"], photo["request_id"], photo["dry_run"]) == ("completed", None, True)
    assert (photo["width"], photo["height"], photo["cost_usd"]) == (48, 32, 0.07)
    assert Path(photo["output"]) == Path("out/photo.png").absolute()
    assert gone["error"]["kind"] == "invalid_input"
    assert (link["state"], link["width"], link["height"], link["cost_usd"]) == ("completed", None, None, 0.07)
    assert remote.requests == []
    assert not Path("out").exists()
    text = cli(*words).out.splitlines()
    assert "48 × 32 pixels, $0.07" in text[0]
    assert "size unknown" in text[1]


def test_a_dry_run_tells_what_a_run_would_note(cli, remote, picture, monkeypatch):
    words = ["run", MODEL, picture(), "-o", "big.jpg", "--dry-run", "--json"]
    other_name = "The result will be a png file, although its name ends differently."
    assert cli(*words).documents[0]["notes"] == [other_name]
    monkeypatch.setenv("REMOTE_UPSCALE_BUDGET_USD", "0.05")
    ran = cli(*words)
    assert ran.status == 0
    assert ran.documents[0]["notes"] == [
        other_name,
        "This month's budget of $0.05 would refuse this job: $0 is spent or reserved.",
    ]
    monkeypatch.setenv("REMOTE_UPSCALE_BUDGET_USD", "0.07")
    assert cli(*words).documents[0]["notes"] == [other_name]
    words[1] = "pixazo/seedvr2-7b-image"
    assert "its price is not known" in cli(*words).documents[0]["notes"][-1]


def test_people_get_a_sentence_for_each_input(cli, quick, picture):
    ran = cli("run", MODEL, picture("a.png"), "gone.png", "-o", "out")
    assert ran.status == 1
    assert ran.out.count("\n") == 1
    assert ran.out.startswith("a.png → ")
    assert "$0.07" in ran.out
    assert "gone.png: " in ran.err


def test_a_name_unlike_the_result_is_kept_and_told(cli, quick, picture):
    ran = cli("run", MODEL, picture(), "-o", "big.jpg", "--json")
    assert ran.status == 0
    assert Path(ran.documents[0]["output"]).name == "big.jpg"
    assert ran.documents[0]["notes"] == ["The result is a png file, although its name ends differently."]
    assert ran.err == ""
    assert "although its name ends differently" in cli("run", MODEL, picture(), "-o", "again.jpg").err


def test_the_suffix_of_the_output_chooses_the_format(cli, quick, picture):
    ran = cli("run", "pixazo/seedvr2-3b-image", picture(), "-o", "big.webp", "--json")
    assert ran.status == 0
    with Image.open("big.webp") as image:
        assert image.format == "WEBP"


def test_a_refusal_of_the_provider_is_a_failed_input(cli, remote, picture):
    remote.faults.add("submit", error(402), provider="pixazo")
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert ran.status == 1
    assert ran.documents[0]["error"]["kind"] == "insufficient_balance"
    assert ran.documents[0]["error"]["hint"]


def test_keys_are_found_nowhere(cli, quick, picture, home, key):
    runs = [
        cli("run", MODEL, picture(), "gone.png", "-o", "out", "--json"),
        cli("jobs", "--json"),
        cli("check", "--json"),
        cli("resume"),
    ]
    assert not any(key in ran.out + ran.err for ran in runs)
    files = [file for folder in (home, Path.cwd()) for file in folder.rglob("*") if file.is_file()]
    assert home / "ledger.sqlite" in files
    assert not any(key.encode() in file.read_bytes() for file in files)


def test_a_reader_that_goes_away_stops_no_paid_job(start, quick, picture):
    picture("a.png")
    picture("b.png")
    read, write = os.pipe()
    os.close(read)
    process = start("run", MODEL, "a.png", "b.png", "-o", "out", "--json", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert names("out") == ["a.png", "b.png"]


def test_output_is_utf_8_whatever_the_locale(start, quick, picture, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    picture("фото é.png")
    process = start("run", MODEL, "фото é.png", "-o", "out/", "--json", text=False)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert '"input": "фото é.png"'.encode() in out


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes only there")
def test_a_file_name_that_is_no_text_is_still_json(cli, picture):
    picture("a.png").rename(os.fsdecode(b"a\xff.png"))
    ran = cli("run", MODEL, "a*.png", "-o", "out/", "--dry-run", "--json")
    assert ran.status == 0
    assert ran.documents[0]["input"] == "a\udcff.png"


def test_a_name_cannot_write_to_the_terminal(cli, quick, picture):
    picture("a.png").rename("a\x1b[2J.png")
    ran = cli("run", MODEL, "a\x1b[2J.png", "b\x1b[2J\n.png", "-o", "out/")
    assert ran.out.startswith("a [2J.png → ")
    assert "b [2J .png: " in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_the_sandbox_needs_no_key(start, picture, monkeypatch, tmp_path):
    picture()
    process = start("run", MODEL, "photo.png", "-o", "big.png", "--sandbox")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "big.png" in out
    with Image.open("big.png") as image:
        assert image.size == (48, 32)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full here")  # noqa: PTH110
def test_a_full_disk_under_standard_output_stops_no_job(start, remote, picture):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = start("run", MODEL, picture("a.png"), picture("b.png"), "-o", "out/", "--json", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err.count("cannot be printed") == 1
    assert len(list(Path("out").iterdir())) == 2


def test_a_name_that_is_too_long_is_said_in_words(cli, remote, picture):
    done = cli("run", MODEL, picture(), "-o", "x" * 300 + ".png")
    assert done.status == 1
    assert "the name is too long" in done.err
    assert remote.jobs == []


def test_what_the_provider_refuses_is_no_unusable_argument(cli, remote, picture):
    """The input was uploaded, and the request was sent."""
    remote.faults.add("submit", error(400), provider="pixazo")
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (1, "invalid_parameter")


def test_a_key_that_the_provider_refuses_is_no_missing_key(cli, remote, picture):
    remote.faults.add("submit", error(401), times=None, provider="pixazo")
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (1, "authentication")


def test_the_pages_own_example_with_both_modes_is_taken(cli, remote, picture):
    words = ["upscale_mode=factor", "upscale_factor=2", 'target_resolution="1080p"', "output_format=png"]
    parameters = [part for word in words for part in ("-p", word)]
    command = ["run", "fal/seedvr2-image", picture(), "-o", "out.png", "--json", *parameters]
    told = ["target_resolution was not sent, because it is only used with upscale_mode=target."]
    assert cli(*command, "--dry-run").documents[0]["notes"] == told
    ran = cli(*command)
    assert (ran.status, ran.documents[0]["notes"]) == (0, told)
    [job] = remote.jobs
    assert "target_resolution" not in job.parameters
    plain = cli("run", "fal/seedvr2-image", "photo.png", "-o", "out.png", "-p", "target_resolution=720p")
    assert plain.status == 2


def test_a_list_is_taken_as_the_page_writes_it(cli, quick, picture):
    events = 'webhook_events_filter=["completed"]'
    hook = "webhook=https://studio.example/hook"
    ran = cli("run", MODEL, picture(), "-o", "out.png", "-p", hook, "-p", events)
    assert ran.status == 0
    assert quick.jobs[0].parameters["webhook_events_filter"] == ["completed"]


def test_the_sandbox_touches_nothing_that_is_configured(start, picture, monkeypatch, home):
    """The configured database and the stores are at addresses that nobody answers."""
    monkeypatch.setenv("REMOTE_UPSCALE_LEDGER_URL", "postgresql+psycopg://u:p@127.0.0.1:9/none")
    monkeypatch.setenv("REMOTE_UPSCALE_RESULTS_URL", "s3://none")
    monkeypatch.setenv("REMOTE_UPSCALE_BUCKET_URL", "s3://none")
    monkeypatch.setenv("REMOTE_UPSCALE_SANDBOX", "yes")
    picture()
    for words in (["run", MODEL, "photo.png", "-o", "big.png"], ["jobs"], ["jobs", "--prune"], ["check"]):
        process = start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    assert (home / "sandbox" / "ledger.sqlite").is_file()
    assert sorted(path.name for path in home.iterdir()) == ["sandbox"]


@pytest.mark.parametrize("word", ["maybe", "2", "sandbox"])
def test_other_words_for_the_sandbox_are_refused(cli, remote, picture, monkeypatch, word):
    monkeypatch.setenv("REMOTE_UPSCALE_SANDBOX", word)
    ran = cli("run", MODEL, picture(), "-o", "out.png", "--json")
    assert (ran.status, ran.documents[0]["error"]["kind"]) == (2, "invalid_parameter")
    assert remote.requests == []
