"""`remote-upscale jobs`: choosing, exporting, tidying up."""

import csv
import io
import os
import sqlite3
import time
from decimal import Decimal

import pytest
from ledger_steps import bring_to, completed, prepare, submitted
from remote_upscale.api_clients.ledger import Ledger


@pytest.fixture
def ledger(home):
    ledger = Ledger(home / "ledger.sqlite")
    yield ledger
    ledger.close()


def date(home, job, moment):
    database = sqlite3.connect(home / "ledger.sqlite")
    database.execute("UPDATE jobs SET created = ? WHERE id = ?", (f"{moment} 12:00:00.000000", job))
    database.commit()
    database.close()


def ids(ran):
    assert ran.status == 0
    return [document["id"] for document in ran.documents]


def test_jobs_are_chosen_by_state_model_and_day(cli, ledger, home):
    done = completed(ledger)
    failed = bring_to(ledger, "failed", model="pixazo/crystal-image")
    unknown = bring_to(ledger, "submission_unknown")
    date(home, done, "2026-03-31")
    assert ids(cli("jobs", "--json", "--state", "failed")) == [failed]
    assert ids(cli("jobs", "--json", "--state", "failed", "--state", "completed")) == [failed, done]
    assert ids(cli("jobs", "--json", "--model", "fal/seedvr2-image")) == [unknown, done]
    assert ids(cli("jobs", "--json", "--since", "2026-04-01")) == [unknown, failed]
    assert ids(cli("jobs", "--json", "--since", "2026-03-31", "--state", "completed")) == [done]
    assert cli("jobs", "--since", "2099-01-01").out == "There are no such jobs.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--state", "done"], "choose from"),
        (["--model", "fal/seedvr"], "no model fal/seedvr"),
        (["--since", "yesterday"], "2026-03-31"),
        (["--csv", "2026"], "2026-03"),
        (["--csv", "2026-13"], "2026-03"),
        (["--csv", "2026-03", "--prune"], "not allowed with"),
        (["--csv", "2026-03", "--json"], "--json is not allowed with it"),
        (["--csv", "2026-03", "--since", "2026-03-02"], "--since is not allowed with it"),
        (["--prune", "--state", "failed"], "--state is not allowed with it"),
        (["--prune", "--model", "fal/seedvr2-image"], "--model is not allowed with it"),
        (["--prune", "--since", "2026-03-02"], "--since is not allowed with it"),
    ],
)
def test_what_cannot_be_chosen_is_told(start, words, said):
    process = start("jobs", *words)
    _, err = process.communicate()
    assert process.returncode == 2
    assert said in err


def test_a_months_spending(cli, ledger, home):
    rows = {
        "=HYPERLINK(1).png": completed(ledger, source="=HYPERLINK(1).png", cost=Decimal("0.1000")),
        'a "b", c\n.png': completed(ledger, source='a "b", c\n.png', cost=None),
        "unknown": bring_to(ledger, "submission_unknown", source="unknown", cost=Decimal("1e-9")),
        "november": completed(ledger, source="november"),
    }
    others = [
        completed(ledger, sandbox=True),
        bring_to(ledger, "prepared"),
        completed(ledger, source="january"),
    ]
    for day, job in enumerate([*rows.values(), *others], start=1):
        date(home, job, f"2025-12-{day:02}")
    date(home, rows["november"], "2025-11-30")
    date(home, others[-1], "2026-01-01")
    ran = cli("jobs", "--csv", "2025-12")
    assert ran.status == 0
    header, *lines = csv.reader(io.StringIO(ran.out))
    assert header == ["created", "model", "state", "cost_usd", "request_id", "input", "output", "id"]
    assert [line[5] for line in lines] == ["'=HYPERLINK(1).png", 'a "b", c\n.png', "unknown"]
    assert [line[3] for line in lines] == ["0.1", "", "0.000000001"]
    assert lines[0][:3] == ["2025-12-01T12:00:00Z", "fal/seedvr2-image", "completed"]
    assert lines[2][2] == "submission_unknown"


@pytest.fixture
def sandbox_ledger(home):
    ledger = Ledger(home / "sandbox" / "ledger.sqlite")
    yield ledger
    ledger.close()


def test_the_sandboxs_jobs_are_listed_with_the_others(cli, ledger, sandbox_ledger, monkeypatch):
    first = completed(ledger)
    played = completed(sandbox_ledger, sandbox=True)
    last = completed(ledger)
    assert ids(cli("jobs", "--json")) == [last, played, first]
    assert [document["sandbox"] for document in cli("jobs", "--json").documents] == [False, True, False]
    lines = cli("jobs").out.splitlines()
    assert ["(sandbox)" in line for line in lines] == [False, False, True, False]
    monkeypatch.setenv("REMOTE_UPSCALE_SANDBOX", "on")
    assert ids(cli("jobs", "--json")) == [played]


def test_a_months_spending_is_without_the_sandboxs(cli, home, ledger, sandbox_ledger):
    paid, played = completed(ledger, source="paid"), completed(sandbox_ledger, sandbox=True, source="played")
    assert {paid, played} == set(ids(cli("jobs", "--json")))
    month = cli("jobs", "--json").documents[0]["created"][:7]
    lines = cli("jobs", "--csv", month).out.splitlines()[1:]
    assert [line.split(",")[5] for line in lines] == ["paid"]


def test_both_ledgers_are_pruned(cli, home, ledger, sandbox_ledger):
    date(home, completed(ledger), "2020-01-01")
    date(home / "sandbox", completed(sandbox_ledger, sandbox=True), "2020-01-01")
    assert cli("jobs", "--prune", "--json").documents == [{"jobs": 2, "results": 0, "bytes": 0}]
    assert cli("jobs", "--json").documents == []


def test_tidying_up(cli, ledger, home, remote, picture):
    assert cli("run", "apixo/image-upscaler", picture(), "-o", "out.jpg").status == 0
    [kept] = [path for path in (home / "results").rglob("*") if path.is_file()]
    for name in ("0" * 64, "1" * 64):
        path = home / "results" / name[:2] / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"nobody's")
    old = time.time() - 3 * 24 * 3600
    orphan, new_orphan = home / "results" / "00" / ("0" * 64), home / "results" / "11" / ("1" * 64)
    os.utime(orphan, (old, old))
    over = [completed(ledger), bring_to(ledger, "failed")]
    may_matter = [submitted(ledger), bring_to(ledger, "submission_unknown"), bring_to(ledger, "stored")]
    for job in [*over, *may_matter]:
        date(home, job, "2020-01-01")
    prepare(ledger)
    ran = cli("jobs", "--prune", "--json")
    assert ran.documents == [{"jobs": 2, "results": 1, "bytes": 8}]
    assert kept.exists()
    assert not orphan.exists()
    assert new_orphan.exists()
    left = ids(cli("jobs", "--json"))
    assert set(may_matter) <= set(left)
    assert not set(over) & set(left)
    assert "Removed 0 finished jobs older than 90 days" in cli("jobs", "--prune").out
