"""In a folder, nothing but an earlier result of the same input is replaced."""

import shutil
from pathlib import Path

import pytest
from faults import error, finished
from ledger_steps import bring_to, completed
from PIL import Image
from remote_upscale.api_clients.ledger import Ledger

MODEL = "fal/seedvr2-image"


@pytest.fixture(autouse=True)
def quick(remote):
    remote.faults.add("submit", finished(), times=None, provider="fal")
    return remote


@pytest.fixture
def run(cli):
    """Runs inputs into a folder, and returns the names of the results and what was noted."""

    def outputs(*words):
        ran = cli("run", MODEL, *words, "-o", "out/", "--json")
        assert ran.status == 0, ran.out
        return [Path(document["output"]).name for document in ran.documents], [
            document["notes"] for document in ran.documents
        ]

    return outputs


def a_photograph(path):
    Path(path).parent.mkdir(exist_ok=True)
    Image.new("RGB", (9, 9), (1, 2, 3)).save(path)
    return Path(path).read_bytes()


def test_a_file_of_the_user_keeps_its_place(run, picture):
    mine = a_photograph("out/p.jpg")
    names, [notes] = run(picture("out/p.png"))
    assert names == ["p (2).jpg"]
    assert notes == [
        "p.jpg is there already and is no earlier result of this input: the new one is p (2).jpg."
    ]
    assert Path("out/p.jpg").read_bytes() == mine
    assert run("out/p.png")[0] == ["p (2).jpg"]
    assert sorted(path.name for path in Path("out").iterdir()) == ["p (2).jpg", "p.jpg", "p.png"]


def test_a_dry_run_tells_the_same_name(cli, picture):
    a_photograph("out/p.jpg")
    [document] = cli("run", MODEL, picture("p.png"), "-o", "out/", "--dry-run", "--json").documents
    assert Path(document["output"]).name == "p (2).jpg"
    assert "p (2).jpg" in document["notes"][0]


def test_the_result_of_another_input_keeps_its_place(run, picture):
    a_photograph("out/p.jpg")
    run(picture("out/p.png"))
    earlier = Path("out/p (2).jpg").read_bytes()
    assert run("out/p.jpg")[0] == ["p (3).jpg"]
    assert Path("out/p (2).jpg").read_bytes() == earlier


def test_the_same_run_again_goes_to_the_same_places(run, picture):
    picture("a/p.png")
    picture("b/p.png", (30, 20))
    Path("c").mkdir()
    shutil.copy("a/p.png", "c/p.png")
    shutil.copy("a/p.png", "c/q.png")
    words = ["a/p.png", "b/p.png", "c/p.png", "c/q.png"]
    expected = ["p.jpg", "p (2).jpg", "p (3).jpg", "q.jpg"]
    for _ in range(3):
        assert run(*words) == (expected, [[]] * 4)
    assert run("b/p.png")[0] == ["p (2).jpg"]


def test_other_parameters_replace_the_earlier_result(run, picture):
    run(picture("p.png"))
    assert run("p.png", "-p", "upscale_factor=3") == (["p.jpg"], [[]])
    with Image.open("out/p.jpg") as image:
        assert image.size == (72, 48)


def test_what_was_left_behind_is_no_earlier_result(cli, run, quick, picture):
    """A job that failed has put nothing there: the file is the user's."""
    picture("p.png")
    quick.faults.clear()
    quick.faults.add("submit", error(402), provider="fal")
    assert cli("run", MODEL, "p.png", "-o", "out/").status == 1
    mine = a_photograph("out/p.jpg")
    assert run("p.png")[0] == ["p (2).jpg"]
    assert Path("out/p.jpg").read_bytes() == mine


def test_a_file_that_is_named_is_replaced(cli, picture):
    mine = a_photograph("out/p.jpg")
    ran = cli("run", MODEL, picture("p.png"), "-o", "out/p.jpg", "--json")
    assert (ran.status, Path(ran.documents[0]["output"]).name) == (0, "p.jpg")
    assert Path("out/p.jpg").read_bytes() != mine


def test_an_input_by_url_is_known_again_whatever_opens_it(home):
    ledger = Ledger(home / "ledger.sqlite")
    job = completed(ledger, source="https://x.test/a.png?signature=1")
    completed(ledger, source="https://x.test/b.png")
    bring_to(ledger, "failed", source="https://x.test/a.png")
    assert [row.id for row in ledger.with_results(["https://x.test/a.png?signature=2"], [])] == [job]
    ledger.close()
