"""The monthly cap."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread

import pytest
from ledger_steps import HANDLE, bring_to, completed, intent, prepare, submitted
from remote_upscale.api_clients.errors import BudgetExceeded, ProviderFailed
from remote_upscale.api_clients.ledger import Budget, Ledger, month_start
from remote_upscale.api_clients.ledger.entering import insert_job
from remote_upscale.api_clients.ledger.schema import jobs
from remote_upscale.api_clients.ledger.spending import spent
from sqlalchemy import select

CENT = Decimal("0.01")


def enter(ledger, cost=CENT, cap="0.03", **changes):
    job = ledger.new_id()
    budget = Budget(Decimal(cap), frozenset({"allowed"}))
    assert ledger.insert_pending(intent(cost=cost, **changes), job=job, budget=budget) is None
    return job


def test_what_is_spent_or_reserved_counts(ledger):
    completed(ledger, cost=CENT)  # spent
    enter(ledger)  # reserved
    bring_to(ledger, "submission_unknown", cost=CENT)  # perhaps spent
    with pytest.raises(BudgetExceeded, match=r"\$0.01; \$0.03 of this month's \$0.03") as caught:
        enter(ledger)
    assert caught.value.meaning.not_accepted
    assert len(ledger.jobs()) == 3
    enter(ledger, cost=Decimal(0))


def test_what_cost_nothing_does_not_count(ledger):
    ledger.delete_unsent(prepare(ledger, cost=CENT))
    ledger.mark_cancelled(prepare(ledger, cost=CENT), "Stopped.")
    refused = bring_to(ledger, "submitting", cost=CENT)
    ledger.mark_failed(refused, ProviderFailed("Refused."), charged=False)
    free = submitted(ledger, cost=CENT)
    ledger.mark_failed(free, ProviderFailed("Not charged."), charged=False)
    completed(ledger, cost=CENT, sandbox=True)
    assert ledger.spent(month_start()) == 0
    enter(ledger, cap="0.01")


def test_sums_are_exact(ledger):
    for _ in range(10):
        completed(ledger, cost=Decimal("0.1"))
    assert ledger.spent(month_start()) == 1
    enter(ledger, cost=Decimal("1e-9"), cap="1.000000001")
    with pytest.raises(BudgetExceeded):
        enter(ledger, cost=Decimal("1e-9"), cap="1.000000001")


def test_odd_amounts_come_back_and_add_up_as_they_are(ledger):
    numbers = random.Random(7)
    amounts = [Decimal(numbers.randrange(10 ** numbers.randrange(1, 15))).scaleb(-9) for _ in range(300)]
    amounts += [Decimal(10), Decimal("1e3"), Decimal("0.1") + Decimal("0.2"), Decimal("4000000000.000000001")]
    with ledger.database.transaction() as connection:
        for amount in amounts:
            insert_job(connection, intent(cost=amount), ledger.new_id(), "nobody", None)
    with ledger.database.transaction(reading=True) as connection:
        kept = list(connection.scalars(select(jobs.c.cost).order_by(jobs.c.id)))
    assert kept == amounts
    assert str(kept[300]) == "10"
    with ledger.database.transaction(reading=True) as connection:
        assert spent(connection, month_start()) == sum(amounts)


def test_crumbs_of_less_than_a_nano_dollar_pass_no_cap(ledger):
    """A price for a megapixel times an odd number of pixels may have any number of digits."""
    enter(ledger, cost=Decimal("0.0100000000001"))
    assert ledger.spent(month_start()) == Decimal("0.010000001")
    with pytest.raises(BudgetExceeded):
        enter(ledger, cost=Decimal("0.01"), cap="0.02")
    with pytest.raises(BudgetExceeded):
        enter(ledger, cost=Decimal("0.0100000000001"), cap="0.02000000100001")


def test_the_sum_of_a_month_is_answered_by_its_index_alone(path):
    ledger = Ledger(path)
    completed(ledger)
    ledger.close()
    with closing(sqlite3.connect(path)) as database:
        plan = "EXPLAIN QUERY PLAN SELECT sum(cost) FROM jobs WHERE sandbox = 0 AND created >= '2026-01-01'"
        ((*_, how),) = database.execute(plan)
    assert "USING COVERING INDEX jobs_spending" in how


def test_an_unknown_price_is_not_zero(ledger):
    with pytest.raises(BudgetExceeded, match="price of fal/seedvr2-image is not known") as caught:
        enter(ledger, cost=None)
    assert "allow_unknown_price" in caught.value.hint
    enter(ledger, cost=None, model="allowed")
    prepare(ledger, cost=None)  # without a cap


def test_a_rehearsal_is_not_held_to_the_cap(ledger):
    enter(ledger, cost=Decimal(100), sandbox=True)


def test_a_new_month_begins_at_nothing_and_a_clock_that_is_set_back_frees_nothing(ledger):
    completed(ledger, cost=Decimal("0.03"))
    now = datetime.now(UTC)
    last_months = Budget(Decimal("0.03"), since=now - timedelta(days=60))
    with pytest.raises(BudgetExceeded):
        ledger.insert_pending(intent(cost=CENT), job=ledger.new_id(), budget=last_months)
    next_month = Budget(Decimal("0.03"), since=now + timedelta(minutes=1))
    assert ledger.insert_pending(intent(cost=CENT), job=ledger.new_id(), budget=next_month) is None


def test_parallel_jobs_cannot_pass_the_cap_together(place):
    ledgers = [Ledger(place) for _ in range(4)]
    entered, refused = [], []

    def spend(ledger):
        for _ in range(5):
            try:
                entered.append(enter(ledger, cap="0.07"))
            except BudgetExceeded as error:
                refused.append(error)

    threads = [Thread(target=spend, args=[ledger]) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(entered), len(refused)) == (7, 13)
    assert ledgers[0].spent(month_start()) == Decimal("0.07")
    for ledger in ledgers:
        ledger.close()


def test_a_late_id_still_counts_once(ledger):
    job = bring_to(ledger, "submission_unknown", cost=CENT)
    ledger.mark_submitted(job, HANDLE)
    assert ledger.spent(month_start()) == CENT
