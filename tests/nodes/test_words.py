"""What a node says while it waits, and frame rates as its widgets hold them."""

from fractions import Fraction

import pytest
from remote_upscale.api_clients.engine import Progress, Stage
from remote_upscale.nodes.media.rates import exact_rate
from remote_upscale.nodes.progress import NodeProgress


class Clock:
    """Stands still until it is put forward."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


QUEUED, RUNNING = Stage.QUEUED, Stage.RUNNING


@pytest.mark.parametrize(
    ("progress", "words", "fraction"),
    [
        (Progress(stage=Stage.HOSTING, fraction=0.4), "hosting 40%", 0.06),
        (Progress(stage=Stage.HOSTING), "hosting", 0.0),
        (Progress(stage=QUEUED, position=2), "queued at place 3", 0.15),
        (Progress(stage=QUEUED), "queued", 0.15),
        (Progress(stage=QUEUED, note="another run is at it"), "queued (another run is at it)", 0.15),
        (Progress(stage=QUEUED, elapsed=10, remaining=30), "queued, about 30 s to go", 0.1625),
        (Progress(stage=RUNNING, elapsed=12.2), "running 12 s", 0.2),
        (Progress(stage=RUNNING, elapsed=12, remaining=20), "running 12 s, about 20 s to go", 0.425),
        (Progress(stage=RUNNING, elapsed=3, note="state warm"), "running 3 s (state warm)", 0.2),
        (Progress(stage=Stage.FETCHING, fraction=0.5), "fetching 50%", 0.9),
    ],
)
def test_one_job_is_told_in_full(clock, progress, words, fraction):
    shown = NodeProgress(1, clock)
    assert (shown.text, shown.fraction) == ("preparing", 0)
    shown.listener(0)(progress)
    assert shown.text == words
    assert shown.fraction == pytest.approx(fraction)


def test_the_time_passes_while_nobody_reports(clock):
    shown = NodeProgress(1, clock)
    shown.listener(0)(Progress(stage=RUNNING, elapsed=12, remaining=8))
    texts = [shown.text]
    for _ in range(2):
        clock.now += 5
        texts.append(shown.text)
    assert texts == ["running 12 s, about 8 s to go", "running 17 s, about 3 s to go", "running 22 s"]


def test_many_jobs_are_counted(clock):
    shown = NodeProgress(4, clock)
    shown.listener(0)(Progress(stage=Stage.FETCHING))
    shown.done(0)
    shown.listener(1)(Progress(stage=RUNNING))
    shown.listener(2)(Progress(stage=RUNNING))
    assert shown.text == "1 of 4 done, 2 running, 1 preparing"
    assert shown.fraction == pytest.approx((1 + 0.2 + 0.2) / 4)
    shown.listener(2)(Progress(stage=RUNNING, elapsed=10, remaining=30))
    assert shown.text == "1 of 4 done, 2 running, 1 preparing, about 30 s to go"


def test_whoever_is_told_what_became_of_a_job_cannot_harm_it(clock, caplog):
    told = []

    def tell(note):
        told.append(note)
        raise ConnectionResetError

    shown = NodeProgress(1, clock)
    shown.give_up(tell)
    shown.listener(0)(Progress(stage=Stage.CANCELLED, note="Cancelled at fal."))
    assert told == ["Cancelled at fal."]
    assert "Cancelled at fal." in caplog.text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (30000 / 1001, Fraction(30000, 1001)),
        (24000 / 1001, Fraction(24000, 1001)),
        (29.97, Fraction(2997, 100)),
        (23.976, Fraction(2997, 125)),
        (24.0, Fraction(24)),
        (12.5, Fraction(25, 2)),
        (1 / 3, Fraction(1, 3)),
        (0.01, Fraction(1, 100)),
        (119.88012, Fraction("119.88012")),
    ],
)
def test_a_float_is_the_rate_that_it_stands_for(written, meant):
    assert exact_rate(written) == meant
