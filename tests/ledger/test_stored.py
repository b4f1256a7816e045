"""The record of what is in the result store."""

from datetime import UTC, datetime, timedelta

from ledger_steps import STORED, bring_to, completed, submitted


def keep(ledger, name, size=10, state="completed"):
    job = submitted(ledger)
    ledger.mark_stored(job, **STORED | {"sha256": name, "bytes": size})
    ledger.stored.put(name, size)
    if state == "completed":
        ledger.mark_completed(job, path="/out/a", **STORED | {"sha256": name, "bytes": size})
    return job


def test_the_longest_unused_go_first(ledger):
    for name in "abcd":
        keep(ledger, name)
    assert ledger.stored.evict(40) == []
    ledger.stored.used("a")
    assert ledger.stored.evict(25) == ["b", "c"]
    assert ledger.stored.all() == {"a", "d"}
    assert ledger.stored.evict(0) == ["d", "a"]


def test_what_is_not_yet_delivered_stays(ledger):
    keep(ledger, "a", state="stored")
    keep(ledger, "b")
    assert ledger.stored.evict(0) == ["b"]
    assert ledger.stored.undelivered() == {"a"}


def test_putting_again_counts_once_and_as_a_use(ledger):
    keep(ledger, "a")
    keep(ledger, "b")
    ledger.stored.put("a", 10)
    assert ledger.stored.evict(10) == ["b"]
    assert not ledger.stored.used("b")


def test_what_no_job_refers_to_is_struck_off(ledger):
    keep(ledger, "a")
    bring_to(ledger, "failed")
    ledger.purge(datetime.now(UTC) + timedelta(minutes=1))
    assert ledger.stored.all() == set()


def test_what_a_file_shows_is_remembered_until_it_is_old(ledger):
    assert ledger.stored.content("file") is None
    ledger.stored.remember_content("file", "content")
    ledger.stored.remember_content("file", "content")
    assert ledger.stored.content("file") == "content"
    ledger.stored.forget_contents(datetime.now(UTC) - timedelta(minutes=1))
    assert ledger.stored.content("file") == "content"
    ledger.stored.forget_contents(datetime.now(UTC) + timedelta(minutes=1))
    assert ledger.stored.content("file") is None


def test_removing_what_is_not_there_is_fine(ledger):
    completed(ledger)
    ledger.stored.remove("c" * 64)
    assert ledger.stored.all() == set()
