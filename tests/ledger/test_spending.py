"""The monthly cap."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread

import pytest
from ledger_steps import HANDLE, bring_to, completed, intent, prepare, submitted
from remote_upscale.api_clients.errors import BudgetExceeded, Meaning, ProviderFailed
from remote_upscale.api_clients.ledger import Budget, Ledger, month_start

CENT = Decimal("0.01")


def enter(ledger, cost=CENT, cap="0.03", **changes):
    return ledger.enter(intent(cost=cost, **changes), budget=Budget(Decimal(cap), frozenset({"allowed"})))


def test_what_is_spent_or_reserved_counts(ledger):
    completed(ledger, cost=CENT)  # spent
    enter(ledger)  # reserved
    bring_to(ledger, "submission_unknown", cost=CENT)  # perhaps spent
    with pytest.raises(BudgetExceeded, match=r"\$0.01; \$0.03 of this month's \$0.03") as caught:
        enter(ledger)
    assert caught.value.meaning.not_accepted
    assert len(ledger.jobs()) == 3
    assert isinstance(enter(ledger, cost=Decimal(0)), str)


def test_what_cost_nothing_does_not_count(ledger):
    ledger.retract(prepare(ledger, cost=CENT))
    ledger.cancelled(prepare(ledger, cost=CENT), "Stopped.")
    refused = bring_to(ledger, "submitting", cost=CENT)
    ledger.failed(refused, ProviderFailed("Refused.", meaning=Meaning.REFUSED))
    free = submitted(ledger, cost=CENT)
    ledger.failed(free, ProviderFailed("Not charged.", meaning=Meaning.REFUSED))
    completed(ledger, cost=CENT, sandbox=True)
    assert ledger.spent(month_start()) == 0
    enter(ledger, cap="0.01")


def test_sums_are_exact(ledger):
    for _ in range(10):
        completed(ledger, cost=Decimal("0.1"))
    assert ledger.spent(month_start()) == 1
    assert isinstance(enter(ledger, cost=Decimal("1e-20"), cap="1.00000000000000000001"), str)
    with pytest.raises(BudgetExceeded):
        enter(ledger, cost=Decimal("1e-20"), cap="1.00000000000000000001")


def test_an_unknown_price_is_not_zero(ledger):
    with pytest.raises(BudgetExceeded, match="price of fal/seedvr2-image is not known") as caught:
        enter(ledger, cost=None)
    assert "allow_unknown_price" in caught.value.hint
    assert isinstance(enter(ledger, cost=None, model="allowed"), str)
    assert isinstance(ledger.enter(intent(cost=None)), str)  # without a cap


def test_a_rehearsal_is_not_held_to_the_cap(ledger):
    assert isinstance(enter(ledger, cost=Decimal(100), sandbox=True), str)


def test_a_new_month_begins_at_nothing_and_a_clock_that_is_set_back_frees_nothing(ledger):
    completed(ledger, cost=Decimal("0.03"))
    now = datetime.now(UTC)
    with pytest.raises(BudgetExceeded):
        ledger.enter(intent(cost=CENT), budget=Budget(Decimal("0.03"), since=now - timedelta(days=60)))
    next_month = Budget(Decimal("0.03"), since=now + timedelta(minutes=1))
    assert isinstance(ledger.enter(intent(cost=CENT), budget=next_month), str)


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
    ledger.submitted(job, HANDLE)
    assert ledger.spent(month_start()) == CENT
