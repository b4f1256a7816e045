"""What becomes of a job when something goes wrong: the error, the number of submits, the ledger, the files.

Each row is one fault of the sandbox at one stage. ``None`` as the kind: the job succeeds all the same.
"""

import pytest
from remote_upscale.api_clients import sandbox as faulty
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.registry import find_model

PIXAZO, APIXO, FAL = "pixazo/crystal-image", "apixo/image-upscaler", "fal/seedvr2-image"
FOREVER = None

# model, stage, action, times, kind, submits, state in the ledger (None: no row)
CASES = {
    # The submit: repeated only when it was certainly turned away.
    "429 once": (PIXAZO, "submit", faulty.error(429, retry_after=0), 1, None, 2, "completed"),
    "429 for ever": (
        APIXO,
        "submit",
        faulty.error(429, retry_after=1),
        FOREVER,
        "rate_limited",
        None,
        "failed",
    ),
    "503 once": (FAL, "submit", faulty.error(503), 1, None, 2, "completed"),
    "500": (PIXAZO, "submit", faulty.error(500), 1, "provider_unavailable", 1, "failed"),
    "502 in the provider's words": (
        APIXO,
        "submit",
        faulty.error(502),
        1,
        "provider_unavailable",
        1,
        "failed",
    ),
    "502 of a gateway": (
        PIXAZO,
        "submit",
        faulty.literal("<html>", status=502, content_type="text/html"),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "400": (PIXAZO, "submit", faulty.error(400), 1, "invalid_parameter", 1, "failed"),
    "401": (FAL, "submit", faulty.error(401), 1, "authentication", 1, "failed"),
    "402": (PIXAZO, "submit", faulty.error(402), 1, "insufficient_balance", 1, "failed"),
    "402 inside a 200": (
        APIXO,
        "submit",
        faulty.error(402, http_status=200),
        1,
        "insufficient_balance",
        1,
        "failed",
    ),
    "403 for a locked account": (FAL, "submit", faulty.error(403), 1, "insufficient_balance", 1, "failed"),
    "403": (APIXO, "submit", faulty.error(403), 1, "forbidden", 1, "failed"),
    "reply lost": (PIXAZO, "submit", faulty.lost_reply(), 1, "submission_unknown", 1, "submission_unknown"),
    "reset before it was read": (
        FAL,
        "submit",
        faulty.reset(),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "no answer, accepted": (
        APIXO,
        "submit",
        faulty.hang(accepted=True),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "truncated reply": (
        PIXAZO,
        "submit",
        faulty.truncated(),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "truncated reply of one who can be asked": (FAL, "submit", faulty.truncated(), 1, None, 1, "completed"),
    "garbage in reply": (
        PIXAZO,
        "submit",
        faulty.garbage("html"),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "cut JSON in reply": (
        APIXO,
        "submit",
        faulty.garbage("cut_json"),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "nested JSON in reply": (
        PIXAZO,
        "submit",
        faulty.garbage("nested"),
        1,
        "submission_unknown",
        1,
        "submission_unknown",
    ),
    "a redirect": (FAL, "submit", faulty.redirect("http://127.0.0.1:9/"), 1, "bad_response", 1, "failed"),
    "finished at once": (PIXAZO, "submit", faulty.finished(), 1, None, 1, "completed"),
    "finished at once, bare": (PIXAZO, "submit", faulty.finished_list(), 1, None, 1, "completed"),
    # The status: asked again, within a total time; the job stays resumable.
    "status 500 twice": (PIXAZO, "status", faulty.error(500), 2, None, 1, "completed"),
    "status 429": (FAL, "status", faulty.error(429, retry_after=0), 2, None, 1, "completed"),
    "status reset": (APIXO, "status", faulty.reset(), 2, None, 1, "completed"),
    "status garbage": (PIXAZO, "status", faulty.garbage("binary"), 2, None, 1, "completed"),
    "status truncated": (FAL, "status", faulty.truncated(), 1, None, 1, "completed"),
    "status slow": (APIXO, "status", faulty.slow(0.5), 1, None, 1, "completed"),
    "status 404 at first": (FAL, "status", faulty.error(404), 1, None, 1, "completed"),
    "status 500 for ever": (
        APIXO,
        "status",
        faulty.error(500),
        FOREVER,
        "provider_unavailable",
        1,
        "submitted",
    ),
    "status garbage for ever": (
        PIXAZO,
        "status",
        faulty.garbage("nested"),
        FOREVER,
        "bad_response",
        1,
        "submitted",
    ),
    "status 401": (FAL, "status", faulty.error(401), FOREVER, "authentication", 1, "submitted"),
    "unknown state word": (PIXAZO, "status", faulty.state("WARMING_UP"), 2, None, 1, "completed"),
    "unknown state word for ever": (
        APIXO,
        "status",
        faulty.state("warming_up"),
        FOREVER,
        "timeout",
        1,
        "submitted",
    ),
    "done without a link": (PIXAZO, "status", faulty.no_output(), 1, None, 1, "completed"),
    "link as a string": (PIXAZO, "status", faulty.string_output(), 1, None, 1, "completed"),
    # The work itself.
    "FAILED": (PIXAZO, "run", faulty.fails("FAILED"), 1, "provider_failed", 1, "failed"),
    "ERROR": (PIXAZO, "run", faulty.fails("ERROR"), 1, "provider_failed", 1, "failed"),
    "CANCELLED": (PIXAZO, "run", faulty.fails("CANCELLED"), 1, "cancelled", 1, "failed"),
    "SensitiveContent": (APIXO, "run", faulty.fails("SensitiveContent"), 1, "content_rejected", 1, "failed"),
    "Timeout": (APIXO, "run", faulty.fails("Timeout"), 1, "timeout", 1, "failed"),
    "Unknown error": (APIXO, "run", faulty.fails("Unknown error"), 1, "provider_failed", 1, "failed"),
    "content_policy_violation": (
        FAL,
        "run",
        faulty.fails("content_policy_violation"),
        1,
        "content_rejected",
        1,
        "failed",
    ),
    "downstream_service_error": (
        FAL,
        "run",
        faulty.fails("downstream_service_error"),
        1,
        "provider_unavailable",
        1,
        "failed",
    ),
    "input not fetched": (FAL, "input", faulty.error(404), 1, "hosting", 1, "failed"),
    "half the size": (PIXAZO, "run", faulty.resized(0.5), 1, "bad_response", 1, "submitted"),
    # The result of fal.
    "result 500 twice": (FAL, "result", faulty.error(500), 2, None, 1, "completed"),
    "result without an image": (FAL, "result", faulty.no_output(), 1, None, 1, "completed"),
    "result for ever in progress": (
        FAL,
        "result",
        faulty.error(400, message="Request is still in progress"),
        FOREVER,
        "bad_response",
        1,
        "submitted",
    ),
    # The download.
    "download 500 twice": (PIXAZO, "download", faulty.error(500), 2, None, 1, "completed"),
    "download reset": (APIXO, "download", faulty.reset(), 2, None, 1, "completed"),
    "download truncated": (FAL, "download", faulty.truncated(), 2, None, 1, "completed"),
    "download garbage": (PIXAZO, "download", faulty.garbage("binary"), 1, None, 1, "completed"),
    "download garbage for ever": (
        PIXAZO,
        "download",
        faulty.garbage("binary"),
        FOREVER,
        "bad_response",
        1,
        "submitted",
    ),
    "download slow": (APIXO, "download", faulty.slow(0.5), 1, None, 1, "completed"),
    "link expired once": (FAL, "download", faulty.error(403), 1, None, 1, "completed"),
    "link expired for ever": (PIXAZO, "download", faulty.error(410), FOREVER, "result_lost", 1, "submitted"),
    "link redirects into this machine": (
        APIXO,
        "download",
        faulty.redirect("http://127.0.0.1:9/admin"),
        FOREVER,
        "bad_response",
        1,
        "submitted",
    ),
    "download is HTML": (
        FAL,
        "download",
        faulty.wrong_type("text/html"),
        FOREVER,
        "bad_response",
        1,
        "submitted",
    ),
    # Hosting.
    "upload 500 twice": (PIXAZO, "upload", faulty.error(500), 2, None, 1, "completed"),
    "upload reset": (FAL, "upload", faulty.reset(), 1, None, 1, "completed"),
    "token refused": (APIXO, "token", faulty.error(401), FOREVER, "authentication", 0, None),
    "upload 500 for ever": (PIXAZO, "upload", faulty.error(500), FOREVER, "hosting", 0, None),
}


@pytest.mark.parametrize(
    ("model_id", "stage", "action", "times", "kind", "submits", "state"), CASES.values(), ids=CASES
)
async def test_fault(
    model_id, stage, action, times, kind, submits, state, settings, hasty, sandbox, photo, tmp_path
):
    sandbox.faults.add(stage, action, times=times)
    model = find_model(model_id)
    destination = tmp_path / "out" / "result.img"
    job = Job(
        model=model,
        parameters={"resolution": "2k"} if model_id == APIXO else {},
        source=photo,
        destination=destination,
    )
    async with Engine(settings if kind is None else hasty) as engine:
        if kind is None:
            await engine.run(job)
            assert destination.exists()
        else:
            with pytest.raises(RemoteUpscaleError) as caught:
                await engine.run(job)
            assert caught.value.kind == kind
            assert caught.value.hint
            assert not destination.parent.exists() or list(destination.parent.iterdir()) == []
        rows = engine.ledger.jobs()
    sent = [r for r in sandbox.requests if r.method == "POST" and r.path.endswith(model.endpoint)]
    assert submits is None or len(sent) == submits
    assert len(sandbox.jobs) <= 1
    assert [row.state for row in rows] == ([state] if state else [])
    if state in ("submitted", "completed") and "bare" not in str(action):
        assert rows[0].request_id in (None, *[accepted.request_id for accepted in sandbox.jobs])
    if state == "submitted":
        assert rows[0].request_id == sandbox.jobs[0].request_id


RESUMABLE = {name: case for name, case in CASES.items() if case[6] == "submitted" and "half" not in name}


@pytest.mark.parametrize(
    ("model_id", "stage", "action"), [case[:3] for case in RESUMABLE.values()], ids=RESUMABLE
)
async def test_a_job_left_behind_is_resumed_without_paying_again(
    model_id, stage, action, hasty, sandbox, photo, tmp_path
):
    sandbox.faults.add(stage, action, times=None)
    model = find_model(model_id)
    job = Job(
        model=model,
        parameters={"resolution": "2k"} if model_id == APIXO else {},
        source=photo,
        destination=tmp_path / "out.img",
    )
    async with Engine(hasty) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(job)
    sandbox.faults.clear()
    async with Engine(hasty) as engine:
        [row] = engine.ledger.resumable(sandbox=False)
        outcome = await engine.resume(row)
        assert outcome.path.exists()
        assert engine.ledger.resumable(sandbox=False) == []
        assert [row.state for row in engine.ledger.jobs()] == ["completed"]
    assert len(sandbox.jobs) == 1


async def test_a_resumed_job_whose_link_stays_dead_is_over(hasty, sandbox, photo, tmp_path):
    sandbox.faults.add("download", faulty.error(410), times=None)
    job = Job(model=find_model(PIXAZO), parameters={}, source=photo, destination=tmp_path / "out.png")
    async with Engine(hasty) as engine:
        for attempt in (engine.run(job), engine.resume):
            with pytest.raises(RemoteUpscaleError) as caught:
                await (attempt(engine.ledger.jobs()[0]) if callable(attempt) else attempt)
            assert caught.value.kind == "result_lost"
        assert [row.state for row in engine.ledger.jobs()] == ["failed"]
