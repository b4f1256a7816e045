"""The fault matrix: every fault of the sandbox at every stage, and what has to become of a job that it hits.

A line names a fault; the word after the colon is its outcome, and the function of that name in
``fault_rows.py`` says what it means:

    done        it succeeds all the same             left        at the provider, fetched later
    refused     not taken, not charged               stuck       at the provider, and bad there
    ended       over at the provider, no result      unknown     taken or not: nobody can tell
    unsent      nothing was ordered                  unheard     taken, and found later
                                                     given_up    interrupted by the user

``NEVER`` has the cells in which nothing can go wrong, with the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import TypeVar

from fault_rows import (
    APIXO,
    BRIEF,
    FAL,
    PIXAZO,
    SEVERAL,
    Check,
    Row,
    done,
    ended,
    given_up,
    left,
    refused,
    stuck,
    unheard,
    unknown,
    unsent,
)
from faults import (
    Do,
    Fault,
    Stage,
    error,
    fails,
    finished,
    finished_list,
    garbage,
    hang,
    ignored,
    literal,
    lost_reply,
    no_output,
    oversized,
    redirect,
    reset,
    resized,
    slow,
    state,
    string_output,
    truncated,
    wrong_type,
)

_T = TypeVar("_T")

BIG = 1 << 20
"""Bytes beyond every limit of the matrix's settings."""

HTML, BINARY, CUT, NESTED, EMPTY = (
    garbage(kind) for kind in ("html", "binary", "cut_json", "nested", "empty")
)
HUGE, TOO_MUCH = garbage("huge", size=BIG), oversized(BIG)
BAD_GATEWAY = literal("<html>", status=502, content_type="text/html")
CRASH_PAGE = literal("<html>", status=500, content_type="text/html")
NOT_FOUND_PAGE = literal("<html>", status=404, content_type="text/html")
NOT_FOUND_JSON = literal('{"statusCode": 404, "message": "Resource not found"}', status=404)
SIGN_IN_PAGE = literal("<html>", status=401, content_type="text/html")
NOTHING = literal("{}")
AWAY = redirect("http://127.0.0.1:9/admin")

# Sent again only when it was certainly turned away. Where it is open whether there is a job, fal is asked;
# elsewhere it stays unknown, and a plain run does not order it again.
_SUBMIT = {
    "429 once": done(PIXAZO, error(429, retry_after=0), submits=2),
    "429 for ever": refused(APIXO, error(429, retry_after=1), "rate_limited", times=None, submits=SEVERAL),
    "503 once": done(FAL, error(503), submits=2),
    "500": refused(PIXAZO, error(500), "provider_unavailable"),
    "500 of somebody else": unknown(PIXAZO, CRASH_PAGE, charged=0),
    "500 of somebody else, fal": unknown(FAL, CRASH_PAGE, charged=0),
    "502": refused(APIXO, error(502), "provider_unavailable"),
    "502 of a gateway": unknown(PIXAZO, BAD_GATEWAY, charged=0),
    "502 of a gateway, fal": unknown(FAL, BAD_GATEWAY, charged=0),
    "400": refused(PIXAZO, error(400), "invalid_parameter"),
    "401": refused(FAL, error(401), "authentication"),
    "402": refused(PIXAZO, error(402), "insufficient_balance"),
    "402 inside a 200": refused(APIXO, error(402, http_status=200), "insufficient_balance"),
    "403 for a locked account": refused(FAL, error(403), "insufficient_balance"),
    "403": refused(APIXO, error(403), "forbidden"),
    "empty object": unknown(APIXO, NOTHING, charged=0),
    "redirect": unknown(PIXAZO, AWAY, charged=0),
    "redirect, fal": unknown(FAL, AWAY, charged=0),
    "reset": unknown(PIXAZO, reset(), charged=0),
    "reset, fal": unknown(FAL, reset(), charged=0),
    "hang, not taken": unknown(PIXAZO, hang(), charged=0),
    "hang, taken": unknown(APIXO, hang(accepted=True)),
    "hang, taken by fal": done(FAL, hang(accepted=True)),
    "lost reply": unknown(PIXAZO, lost_reply()),
    "lost reply, fal": done(FAL, lost_reply()),
    "slow": done(APIXO, slow(0.1)),
    "truncated": unknown(PIXAZO, truncated()),
    "truncated, fal": done(FAL, truncated()),
    "oversized": unknown(APIXO, TOO_MUCH),
    "oversized, fal": done(FAL, TOO_MUCH),
    "garbage, HTML": unknown(PIXAZO, HTML),
    "garbage, binary": unknown(APIXO, BINARY),
    "garbage, cut JSON": unknown(APIXO, CUT),
    "garbage, nested": unknown(PIXAZO, NESTED),
    "garbage, huge": unknown(PIXAZO, HUGE),
    "garbage, empty, fal": done(FAL, EMPTY),
    "wrong type": done(APIXO, wrong_type()),
    "finished at once": done(PIXAZO, finished()),
    "finished at once, bare": done(PIXAZO, finished_list()),
}

# Asked again for a while; then the job is left behind, and `resume` or a plain run fetches its result.
_STATUS = {
    "500 twice": done(PIXAZO, error(500), times=2),
    "500 for ever": left(APIXO, error(500), "provider_unavailable"),
    "429 twice": done(FAL, error(429, retry_after=0), times=2),
    "404 at first": done(FAL, error(404)),
    "404 for ever": left(APIXO, error(404), "timeout"),
    "404 of somebody else": done(FAL, NOT_FOUND_PAGE, times=2),
    "404 of somebody else for ever": left(PIXAZO, NOT_FOUND_PAGE, "bad_response"),
    "404 in JSON of somebody else": done(PIXAZO, NOT_FOUND_JSON, times=2),
    "401 of a sign-in page": done(APIXO, SIGN_IN_PAGE, times=2),
    "401 for ever": left(FAL, error(401), "authentication"),
    "502 of a gateway": done(APIXO, BAD_GATEWAY),
    "empty object for ever": left(PIXAZO, NOTHING, "timeout"),
    "redirect for ever": left(APIXO, AWAY, "bad_response"),
    "reset twice": done(APIXO, reset(), times=2),
    "reset for ever": left(FAL, reset(), "provider_unavailable"),
    "hang": done(PIXAZO, hang()),
    "hang for ever": left(FAL, hang(), "timeout"),
    "lost reply": done(APIXO, lost_reply()),
    "lost reply for ever": left(PIXAZO, lost_reply(), "provider_unavailable"),
    "slow": done(APIXO, slow(0.1)),
    "truncated": done(FAL, truncated()),
    "truncated for ever": left(APIXO, truncated(), "provider_unavailable"),
    "oversized for ever": left(PIXAZO, TOO_MUCH, "bad_response"),
    "garbage, binary, twice": done(PIXAZO, BINARY, times=2),
    "garbage, nested, for ever": left(PIXAZO, NESTED, "bad_response"),
    "garbage, huge, for ever": left(FAL, HUGE, "bad_response"),
    "garbage, empty, for ever": left(APIXO, EMPTY, "bad_response"),
    "wrong type for ever": done(PIXAZO, wrong_type(), times=None),
    "unknown word twice": done(PIXAZO, state("WARMING_UP"), times=2),
    "unknown word for ever": left(APIXO, state("warming_up"), "timeout"),
    "in the queue for ever": left(FAL, state("IN_QUEUE"), "timeout"),
    "no output": done(PIXAZO, no_output()),
    "no output for ever": left(APIXO, no_output(), "bad_response"),
    "output is a string, Pixazo": done(PIXAZO, string_output(), times=None),
    "output is a string, APIXO": done(APIXO, string_output(), times=None),
}

# Only fal gives the result in a reply of its own.
_RESULT = {
    "500 twice": done(FAL, error(500), times=2),
    "404 of somebody else": done(FAL, NOT_FOUND_PAGE, times=2),
    "in progress for ever": left(FAL, error(400, message="Request is still in progress"), "bad_response"),
    "empty object for ever": left(FAL, NOTHING, "bad_response"),
    "redirect for ever": left(FAL, AWAY, "bad_response"),
    "reset": done(FAL, reset()),
    "reset for ever": left(FAL, reset(), "provider_unavailable"),
    "hang": done(FAL, hang()),
    "lost reply": done(FAL, lost_reply()),
    "slow": done(FAL, slow(0.1)),
    "truncated for ever": left(FAL, truncated(), "provider_unavailable"),
    "oversized for ever": left(FAL, TOO_MUCH, "bad_response"),
    "garbage, HTML": done(FAL, HTML),
    "garbage, cut JSON, for ever": left(FAL, CUT, "bad_response"),
    "wrong type for ever": done(FAL, wrong_type(), times=None),
    "no output": done(FAL, no_output()),
    "no output for ever": left(FAL, no_output(), "bad_response"),
    "output is a string for ever": left(FAL, string_output(), "bad_response"),
}

# Tried again for a while, and a link that has expired is asked for anew; then the job is left behind.
_DOWNLOAD = {
    "500 twice": done(PIXAZO, error(500), times=2),
    "link expired": done(FAL, error(403)),
    "link expired for ever": left(PIXAZO, error(410), "result_lost"),
    "text for ever": left(FAL, literal("soon"), "bad_response"),
    "redirect into this machine": left(APIXO, AWAY, "bad_response"),
    "reset twice": done(APIXO, reset(), times=2),
    "reset for ever": left(PIXAZO, reset(), "provider_unavailable"),
    "hang": done(FAL, hang()),
    "hang for ever": left(APIXO, hang(), "timeout"),
    "lost reply": done(PIXAZO, lost_reply()),
    "slow": done(APIXO, slow(0.1)),
    "truncated twice": done(FAL, truncated(), times=2),
    "truncated for ever": left(PIXAZO, truncated(), "provider_unavailable"),
    "oversized for ever": left(APIXO, TOO_MUCH, "bad_response"),
    "garbage, binary": done(PIXAZO, BINARY),
    "garbage, binary, for ever": left(PIXAZO, BINARY, "bad_response"),
    "garbage, empty, for ever": left(FAL, EMPTY, "bad_response"),
    "HTML for ever": left(FAL, wrong_type("text/html"), "bad_response"),
}

# Hosting comes before the order. Where fal's own token or upload fails, its other way is taken: `initiate`.
_TOKEN = {
    "401 for ever": unsent(APIXO, error(401), "authentication"),
    "500": done(PIXAZO, error(500)),
    "empty object for ever": done(FAL, NOTHING, times=None),
    "redirect for ever": done(PIXAZO, AWAY, times=None),
    "reset": done(APIXO, reset()),
    "reset for ever": unsent(FAL, reset(), "hosting"),
    "hang": done(PIXAZO, hang()),
    "lost reply": done(FAL, lost_reply()),
    "slow": done(APIXO, slow(0.1)),
    "truncated": done(PIXAZO, truncated()),
    "oversized for ever": done(APIXO, TOO_MUCH, times=None),
    "garbage, HTML, for ever": done(FAL, HTML, times=None),
    "wrong type": done(PIXAZO, wrong_type()),
}

_UPLOAD = {
    "500 twice": done(PIXAZO, error(500), times=2),
    "500 for ever": unsent(PIXAZO, error(500), "hosting"),
    "400": done(FAL, error(400)),
    "empty object": done(APIXO, NOTHING),
    "redirect": done(PIXAZO, AWAY),
    "redirect for ever": unsent(FAL, AWAY, "hosting"),
    "reset": done(FAL, reset()),
    "reset for ever": unsent(APIXO, reset(), "hosting"),
    "hang": done(APIXO, hang()),
    "lost reply": done(PIXAZO, lost_reply()),
    "slow": done(FAL, slow(0.1)),
    "truncated": done(APIXO, truncated()),
    "oversized": done(PIXAZO, TOO_MUCH),
    "garbage, HTML": done(FAL, HTML),
    "wrong type": done(APIXO, wrong_type()),
}

_INITIATE = {
    "500": done(PIXAZO, error(500)),
    "400 for ever": unsent(FAL, error(400), "hosting"),
    "empty object for ever": unsent(APIXO, NOTHING, "hosting"),
    "redirect for ever": unsent(PIXAZO, AWAY, "hosting"),
    "reset": done(FAL, reset()),
    "hang": done(APIXO, hang()),
    "lost reply": done(PIXAZO, lost_reply()),
    "slow": done(FAL, slow(0.1)),
    "truncated": done(APIXO, truncated()),
    "oversized for ever": unsent(PIXAZO, TOO_MUCH, "hosting"),
    "garbage, HTML, for ever": unsent(FAL, HTML, "hosting"),
    "wrong type": done(APIXO, wrong_type()),
}

# fal is asked for a job whose submit was not answered.
_FIND = {
    "500": done(FAL, error(500)),
    "401 for ever": unheard(error(401)),
    "empty object for ever": unheard(NOTHING),
    "redirect for ever": unheard(AWAY),
    "reset": done(FAL, reset()),
    "reset for ever": unheard(reset()),
    "hang": done(FAL, hang()),
    "lost reply": done(FAL, lost_reply()),
    "slow": done(FAL, slow(0.1)),
    "truncated for ever": unheard(truncated()),
    "oversized for ever": unheard(TOO_MUCH),
    "garbage, cut JSON, for ever": unheard(CUT),
    "wrong type": done(FAL, wrong_type()),
}

# A job counts as cancelled only when fal says so; all others go on, and `resume` sees what became of them.
_CANCEL = {
    "500": given_up(error(500), cancelled=False, told=False),
    "already completed": given_up(error(400, message="ALREADY_COMPLETED"), cancelled=False, told=False),
    "502 of a gateway": given_up(BAD_GATEWAY, cancelled=False, told=False),
    "redirect": given_up(AWAY, cancelled=False, told=False),
    "reset": given_up(reset(), cancelled=False, told=False),
    "hang": given_up(hang(), cancelled=False, told=False),
    "lost reply": given_up(lost_reply(), cancelled=True, told=False),
    "truncated": given_up(truncated(), cancelled=True, told=False),
    "oversized": given_up(TOO_MUCH, cancelled=True, told=False),
    "slow": given_up(slow(0.1), cancelled=True, told=True),
    "garbage, HTML": given_up(HTML, cancelled=True, told=True),
    "wrong type": given_up(wrong_type(), cancelled=True, told=True),
    "ignored": given_up(ignored(), cancelled=False, told=True),
}

# The provider's own fetch of the input.
_INPUT = {
    "404, Pixazo": ended(PIXAZO, error(404), "provider_failed", charged=0),
    "404, APIXO": ended(APIXO, error(404), "hosting"),
    "404, fal": ended(FAL, error(404), "hosting"),
    "hang": stuck(PIXAZO, hang(), "timeout", delays=BRIEF),
}

# The provider's work.
_RUN = {
    "FAILED": ended(PIXAZO, fails("FAILED"), "provider_failed"),
    "ERROR": ended(PIXAZO, fails("ERROR"), "provider_failed", charged=0),
    "CANCELLED": ended(PIXAZO, fails("CANCELLED"), "cancelled"),
    "SensitiveContent": ended(APIXO, fails("SensitiveContent"), "content_rejected"),
    "Timeout": ended(APIXO, fails("Timeout"), "timeout"),
    "Unknown error": ended(APIXO, fails("Unknown error"), "provider_failed"),
    "content_policy_violation": ended(FAL, fails("content_policy_violation"), "content_rejected"),
    "downstream_service_error": ended(FAL, fails("downstream_service_error"), "provider_unavailable"),
    "half the size": stuck(PIXAZO, resized(0.5), "bad_response"),
}

# No job asks for the balance: `remote-upscale check` does, at APIXO, once.
BALANCE = {
    "401": Check(action=error(401), kind="authentication"),
    "500": Check(action=error(500), kind="provider_unavailable"),
    "empty object": Check(action=NOTHING, kind="bad_response"),
    "redirect": Check(action=AWAY, kind="bad_response"),
    "reset": Check(action=reset(), kind="provider_unavailable"),
    "hang": Check(action=hang(), kind="timeout"),
    "lost reply": Check(action=lost_reply(), kind="provider_unavailable"),
    "slow": Check(action=slow(0.1), kind=None),
    "truncated": Check(action=truncated(), kind="provider_unavailable"),
    "oversized": Check(action=TOO_MUCH, kind="bad_response"),
    "garbage, HTML": Check(action=HTML, kind="bad_response"),
    "wrong type": Check(action=wrong_type(), kind=None),
}

STAGES: dict[Stage, dict[str, Row]] = {
    Stage.SUBMIT: _SUBMIT,
    Stage.STATUS: _STATUS,
    Stage.RESULT: _RESULT,
    Stage.CANCEL: _CANCEL,
    Stage.FIND: _FIND,
    Stage.TOKEN: _TOKEN,
    Stage.UPLOAD: _UPLOAD,
    Stage.INITIATE: _INITIATE,
    Stage.DOWNLOAD: _DOWNLOAD,
    Stage.INPUT: _INPUT,
    Stage.RUN: _RUN,
}

CELLS = {(stage, row.action.do) for stage, rows in STAGES.items() for row in rows.values()} | {
    (Stage.BALANCE, check.action.do) for check in BALANCE.values()
}
"""The cells that have an outcome above."""

BEFORE = {
    Stage.INITIATE: Fault(Stage.UPLOAD, error(400)),
    Stage.FIND: Fault(Stage.SUBMIT, lost_reply()),
}
"""What has to go wrong before, for a stage to be come to."""

_WORK = [Do.FAILS, Do.RESIZED]
_OUTPUT = [Do.NO_OUTPUT, Do.STRING_OUTPUT]
_EARLY = [Do.FINISHED, Do.FINISHED_LIST]
_CONTENT = [Do.STATE, *_OUTPUT, *_EARLY]
_REPLIES = [stage for stage in Stage if stage not in (Stage.INPUT, Stage.RUN)]
_OF_A_JOB = [Stage.SUBMIT, Stage.STATUS, Stage.RESULT]


def _never(stages: Iterable[Stage], dos: Iterable[Do], why: str) -> dict[tuple[Stage, Do], str]:
    return dict.fromkeys(product(stages, dos), why)


def _but(these: Iterable[_T], *those: _T) -> list[_T]:
    return [this for this in these if this not in those]


NEVER: dict[tuple[Stage, Do], str] = {
    **_never(_REPLIES, _WORK, "a reply; only the work on a job fails so"),
    **_never(_but(_REPLIES, Stage.CANCEL), [Do.IGNORED], "nothing is cancelled here"),
    **_never(_but(_REPLIES, *_OF_A_JOB), _CONTENT, "the reply tells neither state nor output"),
    **_never([Stage.SUBMIT], [Do.STATE, *_OUTPUT], "`finished` is how a submit tells these"),
    **_never([Stage.STATUS, Stage.RESULT], _EARLY, "only a submit can be early"),
    **_never([Stage.RESULT], [Do.STATE], "fal's result tells no state"),
    **_never([Stage.RUN], _but(Do, *_WORK), "work inside the provider, which has no reply"),
    **_never([Stage.INPUT], _but(Do, Do.ERROR, Do.HANG), "the provider tells of one kind of failed fetch"),
}
"""Why there is nothing to go wrong in the other cells."""
