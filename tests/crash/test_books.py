"""The audit finds what it is there to find."""

from collections import Counter
from types import SimpleNamespace

import pytest
from crashing.books import audit, left_over
from crashing.pictures import Picture, draw
from PIL import Image
from remote_upscale.api_clients.registry import find_model

_MODEL = find_model("pixazo/seedvr2-3b-image")


@pytest.fixture
def picture(tmp_path):
    """An input with the output that it should have."""
    (picture,) = draw(tmp_path / "round", 1, 5, _MODEL, {})
    deliver(picture)
    return picture


def deliver(picture: Picture, of: Picture | None = None):
    picture.output.parent.mkdir(exist_ok=True)
    with Image.open((of or picture).source) as given:
        given.resize(picture.size, Image.Resampling.LANCZOS).save(picture.output)


def findings(picture, jobs, rows, decisions=0, known=None):
    result = SimpleNamespace(size=picture.size)
    charged = [SimpleNamespace(request_id=job, charged=True, result=result) for job in jobs]
    usual = {"input": str(picture.source), "cost_usd": 0, "error": None, "note": None}
    ledger = [{**usual, "state": state, "request_id": job} for state, job in rows]
    counted = Counter({picture.source: decisions})
    return list(audit([picture], charged, ledger, counted, known=set(known or jobs)))


@pytest.mark.parametrize(
    ("jobs", "rows", "decisions"),
    [
        (["a"], [("completed", "a")], 0),
        (["a"], [("cancelled", None), ("completed", "a")], 0),
        (["a", "b"], [("submission_unknown", None), ("completed", "b")], 1),
        (["b"], [("submission_unknown", None), ("completed", "b")], 1),
    ],
    ids=["plain", "ended before it was sent", "reply lost, paid again", "request lost, paid again"],
)
def test_books_that_are_in_order(picture, jobs, rows, decisions):
    assert findings(picture, jobs, rows, decisions) == []


@pytest.mark.parametrize(
    ("jobs", "rows", "decisions", "finding"),
    [
        (["a", "b"], [("completed", "a"), ("completed", "b")], 0, "2 jobs were paid, after 0 decisions"),
        (
            ["a", "b"],
            [("submission_unknown", None), ("completed", "b")],
            0,
            "2 jobs were paid, after 0 decisions",
        ),
        (["a", "b"], [("completed", "b")], 1, "1 paid jobs are in no row"),
        ([], [], 0, "nothing was paid"),
        (["a"], [("submitted", "a")], 0, "a row ends as submitted"),
        (["a"], [("submitted", "a")], 0, "no row is completed"),
        (["a"], [("stored", "a"), ("completed", "a")], 0, "a row ends as stored"),
        (["a"], [("cancelled", "a"), ("completed", "a")], 0, "a row ends as cancelled"),
        (["a"], [("failed", None), ("completed", "a")], 0, "a row ends as failed"),
        (["a"], [("completed", "a"), ("completed", "z")], 0, "that the provider never had: ['z']"),
    ],
)
def test_books_that_are_not(picture, jobs, rows, decisions, finding):
    assert finding in "\n".join(findings(picture, jobs, rows, decisions))


def test_an_output_that_is_missing_or_another_one_s(picture, tmp_path):
    (other,) = draw(tmp_path / "other", 1, 6, _MODEL, {})
    deliver(picture, of=other)
    assert "is not the picture" in findings(picture, ["a"], [("completed", "a")])[0]
    picture.output.unlink()
    assert "is missing" in findings(picture, ["a"], [("completed", "a")])[0]


def test_what_dead_processes_leave_may_not_pile_up(tmp_path):
    home, outputs = tmp_path / "home", tmp_path / "outputs"
    (home / "results").mkdir(parents=True)
    outputs.mkdir()
    for number in range(100):
        (home / "results" / f"{number:064x}").touch()
    assert list(left_over(home, outputs)) == []
    for number in range(10):
        (outputs / f".{number}.part").touch()
        (home / "results" / f"{number:064x}#1").touch()
        (home / f"lock-{number}").touch()
        (home / f"lock-{number}-too").touch()
    partial, locks = left_over(home, outputs)
    assert "20 partial files" in partial
    assert "20 files pile up in the home folder" in locks
