"""The even frame rate of a clip, and which frame is shown at each of its ticks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ...api_clients.errors import InvalidInput

_STANDARD = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)) + tuple(
    Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)
)
_ASSUMED = Fraction(25)
_JITTER = Fraction(1, 20)
"""Part of a frame's time by which it may be off the even rate, besides the container's own rounding."""
_LATE = 0.3
"""Part of a frame's time by which single frames may be off a rate that most of them keep."""
_MOST = 0.95
"""Part of the frames that have to be no later than that."""
_MOST_REPEATS = 8

Times: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Even:
    """A clip at an even rate.

    Attributes:
        rate: frames a second.
        frame_index: for each tick of the rate, the index of the frame shown then.
        warnings: what was repeated and left out, as sentences.
    """

    rate: Fraction
    frame_index: npt.NDArray[np.int64]
    warnings: tuple[str, ...] = ()


def without_times(frames: int, announced: list[Fraction]) -> Even:
    """Frames of which nothing tells when they are shown."""
    if announced:
        return Even(announced[0], np.arange(frames))
    words = f"The clip does not state its frame rate; {_ASSUMED} frames per second were assumed."
    return Even(_ASSUMED, np.arange(frames), (words,))


def even(times: Times, time_base: Fraction, announced: list[Fraction], last: int) -> Even:
    """Frames at the rate that they have, or are nearest to.

    Announced and standard rates come first. Where no rate fits, the commonest distance of two frames is
    taken.

    Args:
        times: when each frame is shown, ascending, in units of ``time_base``.
        time_base: in seconds.
        announced: frames a second, as the container says in several places.
        last: how long the last frame is shown, as far as known, in units of ``time_base``.

    Raises:
        InvalidInput: the distances differ so much that there would be far more repeated frames than others.
    """
    rate = _even_rate(times, time_base, announced)
    if rate is not None:
        return Even(rate, np.arange(len(times)))
    found = _on_ticks(times, time_base, announced)
    if found is not None:
        rate, ticks = found
        if int(ticks[-1]) == len(times) - 1:
            return Even(rate, np.arange(len(times)))
        count = int(ticks[-1]) + max(1, round(last * time_base * rate))
        _check_repeats(len(times), count)
        return _told(rate, np.searchsorted(ticks, np.arange(count), side="right") - 1, len(times))
    return _resampled(times, time_base, announced, last)


def _even_rate(times: Times, time_base: Fraction, announced: list[Fraction]) -> Fraction | None:
    """The rate at which the frames are an even distance apart; ``None`` if they are not."""
    if len(times) == 1:
        return announced[0] if announced else _ASSUMED
    measured = (len(times) - 1) / (int(times[-1] - times[0]) * time_base)
    seconds = (times - times[0]).astype(np.float64) * float(time_base)
    for rate in _candidates(time_base, announced, measured):
        ticks = np.arange(len(times)) / float(rate)
        if np.abs(seconds - ticks).max() <= float(time_base + _JITTER / rate):
            return rate
    return None


def _candidates(time_base: Fraction, announced: list[Fraction], measured: Fraction) -> list[Fraction]:
    """Rates, the likeliest first: an average of rounded times is hardly the rate that was meant."""
    near = min(_STANDARD, key=lambda rate: abs(rate - measured))
    meant = [
        rate
        for rate in announced
        if rate in _STANDARD or (rate == measured and (1 / (rate * time_base)).denominator == 1)
    ]
    return [*meant[:1], near, *meant[1:], *announced, measured]


def _on_ticks(
    times: Times, time_base: Fraction, announced: list[Fraction]
) -> tuple[Fraction, npt.NDArray[np.int64]] | None:
    """A rate of which every frame is at a tick of its own, and these ticks; some may have no frame."""
    seconds = (times - times[0]).astype(np.float64) * float(time_base)
    usual = _usual_step(times) * time_base
    rounding = float(time_base / usual)
    fitting: list[tuple[float, Fraction, npt.NDArray[np.int64]]] = []
    for rate in (*announced, *_STANDARD):
        if abs(float(usual * rate) - 1) > float(_JITTER) + rounding:
            continue
        places: npt.NDArray[np.float64] = seconds * float(rate)
        places = places - float(np.median(places - np.rint(places)))
        ticks: Times = np.rint(places).astype(np.int64)
        off: npt.NDArray[np.float64] = np.abs(places - ticks)
        if float(np.quantile(off, _MOST)) <= _LATE + rounding / 2 and bool(np.all(np.diff(ticks) > 0)):
            fitting.append((float(off.mean()), rate, ticks - ticks[0]))
    if not fitting:
        return None
    least = min(off for off, _, _ in fitting)
    # What is announced comes first; another must fit clearly better.
    return next((rate, ticks) for off, rate, ticks in fitting if off <= least + rounding / 8 + 0.002)


def _usual_step(times: Times) -> int:
    """The commonest distance of two frames, or the middle one where hardly any two are the same."""
    steps = np.diff(times)
    step, count = Counter(cast("list[int]", steps.tolist())).most_common(1)[0]
    return step if count > len(steps) / 5 else int(np.median(steps))


def _resampled(times: Times, time_base: Fraction, announced: list[Fraction], last: int) -> Even:
    step = _usual_step(times)
    rate = 1 / (step * time_base)
    near = [known for known in (*announced, *_STANDARD) if abs(known / rate - 1) * step <= 1]
    if near:
        rate = min(near, key=lambda known: (known not in _STANDARD, abs(known - rate)))
    apart = float(1 / (rate * time_base))
    count = max(1, round((int(times[-1] - times[0]) + max(last, step)) / apart))
    _check_repeats(len(times), count)
    ticks = int(times[0]) + (np.arange(count) + 0.5) * apart
    return _told(rate, np.searchsorted(times, ticks, side="right") - 1, len(times))


def _check_repeats(frames: int, count: int) -> None:
    if count > _MOST_REPEATS * frames + 100:
        raise InvalidInput(
            f"The clip's {frames} frames are so uneven in time that {count} frames would be needed.",
            hint="Convert it to a constant frame rate first.",
        )


def _told(rate: Fraction, frame_index: npt.NDArray[np.int64], frames: int) -> Even:
    left_out = frames - len(np.unique(frame_index))
    warning = (
        f"The clip's frame rate varies; it was converted to a constant {float(rate):.6g} frames per second: "
        f"{len(frame_index) - (frames - left_out)} frames were repeated and {left_out} left out."
    )
    return Even(rate, frame_index, (warning,))
