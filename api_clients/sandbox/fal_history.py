"""fal's list of the requests made with a key, as the page of its platform API describes it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from aiohttp import web

from . import fal_errors
from .context import Context
from .exchange import Call, Route, Stage
from .fal_access import locked_out
from .jobs import Job
from .replies import Json, Reply, as_json

_MOST = 100
_USUAL = 50
_USUAL_TIME = timedelta(hours=24)


class FalHistory:
    """Newest first, in pages, within a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The addresses that it answers."""
        return [
            Route(
                method="GET",
                path="/fal/api/models/requests/by-endpoint",
                stage=Stage.FIND,
                provider="fal",
                handler=self._list,
                model_of=self._model_of,
            )
        ]

    def _model_of(self, request: web.Request) -> str | None:
        model = self._context.model_at("fal", request.query.get("endpoint_id", ""))
        return model.id if model else None

    async def _list(self, call: Call) -> Reply:
        locked = locked_out(self._context, call.request)
        if locked:
            return locked
        query = call.request.query
        now = datetime.now(UTC)
        try:
            start = _time(query.get("start"), now - _USUAL_TIME)
            end = _time(query.get("end"), now)
            limit = int(query.get("limit", _USUAL))
            offset = int(base64.b64decode(query.get("cursor", ""), validate=True) or 0)
        except ValueError:
            return fal_errors.plain("Invalid query parameters", status=422)
        if "endpoint_id" not in query or not 1 <= limit <= _MOST:
            return fal_errors.plain("Invalid query parameters", status=422)
        model_id = self._model_of(call.request)
        jobs = [job for job in self._context.jobs if job.model.id == model_id and start <= job.accepted < end]
        page = jobs[::-1][offset : offset + limit]
        more = len(jobs) > offset + limit
        with_input = "payloads" in query.get("expand", "").split(",")
        return as_json(
            {
                "items": [_describe(job, with_input=with_input) for job in page],
                "next_cursor": base64.b64encode(str(offset + limit).encode()).decode() if more else None,
                "has_more": more,
            }
        )


def _time(text: str | None, usual: datetime) -> datetime:
    if text is None:
        return usual
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _describe(job: Job, *, with_input: bool) -> Json:
    entry: Json = {
        "request_id": job.request_id,
        "endpoint_id": job.model.endpoint.strip("/"),
        "sent_at": job.accepted.isoformat(),
        "started_at": job.accepted.isoformat(),
        "ended_at": job.completed.isoformat() if job.over else None,
        "status_code": 200 if job.over else None,
    }
    if with_input:
        entry["json_input"] = dict(job.parameters)
    return entry
