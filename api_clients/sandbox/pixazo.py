"""The Pixazo gateway, as its pages describe it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from aiohttp import web

from ..models import Model
from .checks import check
from .exchange import Call, Route, Stage
from .jobs import Failure, Job, State
from .problems import InputRefused, Problem
from .protocol import Protocol
from .replies import Json, Reply, as_json, read_object

_WORDS = {
    State.QUEUED: "QUEUED",
    State.RUNNING: "PROCESSING",
    State.DONE: "COMPLETED",
    State.CANCELLED: "CANCELLED",
}

_MODEL_IDS = {"upscaler": "crystal-upscaler"}
"""Where the model's id is not the first part of its endpoint, which is also the request id's prefix."""

_ERRORS = {
    400: ("Bad Request", "The request is not valid."),
    401: ("Unauthorized", "Invalid or missing subscription key."),
    402: ("Insufficient Balance", "Your wallet does not have enough balance."),
    403: ("Forbidden", "Your subscription does not include this API."),
    404: ("Not Found", "The resource was not found."),
    429: ("Too Many Requests", "Rate limit exceeded. Please slow down."),
    500: ("Internal Server Error", "An unexpected error occurred."),
    502: ("Bad Gateway", "The upstream service failed."),
    503: ("Service Unavailable", "The service is temporarily unavailable."),
    504: ("Gateway Timeout", "The upstream service did not answer in time."),
}


class Pixazo(Protocol):
    """The gateway's two operations: submit, and one status address for all models."""

    provider = "pixazo"
    paths: ClassVar[Mapping[str, str]] = {"pixazo": "/pixazo"}

    def routes(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/pixazo/v2/requests/status/{id}",
                stage=Stage.STATUS,
                provider=self.provider,
                handler=self._status,
                model_of=self._model_of_job,
            ),
            Route(
                method="POST",
                path="/pixazo/{endpoint:.+}",
                stage=Stage.SUBMIT,
                provider=self.provider,
                handler=self._submit,
                model_of=self._model_of_endpoint,
            ),
        ]

    def refused(self, refusal: InputRefused) -> Failure:
        if refusal.problem in (Problem.DOWNLOAD, Problem.INTERNAL):
            return Failure("ERROR", refusal.message, charged=False)
        return Failure("FAILED", refusal.message)

    def _model_of_endpoint(self, request: web.Request) -> str | None:
        model = self._context.model_at(self.provider, request.match_info["endpoint"])
        return model.id if model else None

    def _model_of_job(self, request: web.Request) -> str | None:
        job = self._context.jobs.find(request.match_info["id"])
        return job.model.id if job else None

    def _locked_out(self, call: Call) -> Reply | None:
        key = call.request.headers.get("Ocp-Apim-Subscription-Key", "")
        if self._context.accepts(self.provider, key):
            return None
        # A missing or wrong key is turned away by the gateway in front, in the shape of its own.
        reason = "invalid" if key else "missing"
        message = f"Access denied due to {reason} subscription key."
        return as_json({"statusCode": 401, "message": message}, status=401)

    async def _submit(self, call: Call) -> Reply:
        locked = self._locked_out(call)
        if locked:
            return locked
        endpoint = call.request.match_info["endpoint"]
        model = self._context.model_at(self.provider, endpoint)
        if model is None:
            name = _MODEL_IDS.get(endpoint.split("/")[0], endpoint.split("/")[0])
            message = f"Model '{name}' not found or is disabled"
            return as_json({"error": "Model not found", "message": message}, status=400)
        body = read_object(call.body)
        if body is None:
            return _bad("The body must be a JSON object.")
        address = body.get(model.media_field)
        if not isinstance(address, str) or not address:
            return _bad(f"{model.media_field} is required and must be a URL.")
        if not call.request.headers.get("X-Webhook-URL", "https://").startswith("https://"):
            return _bad("X-Webhook-URL must be an HTTPS URL.")
        values, flaws = check(model, body)
        if flaws:
            return _bad(flaws[0].message)
        prefix = model.endpoint.strip("/").split("/")[0]
        job = await self._context.jobs.accept(
            f"{prefix}_{uuid.uuid4()}", model, body=body, values=values, address=address, outcomes=self
        )
        polling = f"{self._context.roots.pixazo}/v2/requests/status/{job.request_id}"
        accepted = {"request_id": job.request_id, "status": "QUEUED", "polling_url": polling}
        return as_json(accepted, status=202, headers=job.retry_after)

    async def _status(self, call: Call) -> Reply:
        locked = self._locked_out(call)
        if locked:
            return locked
        job = self._context.jobs.find(call.request.match_info["id"])
        if job is None or job.model.provider != self.provider:
            return error(404, "Request not found.")
        return as_json(await self.describe(job))

    async def describe(self, job: Job) -> Json:
        """The body of a status reply."""
        state = job.state
        word = job.failure.code if state is State.FAILED and job.failure else _WORDS[state]
        return {
            "request_id": job.request_id,
            "status": word,
            "model_id": _model_id(job.model),
            "error": job.failure.message if state is State.FAILED and job.failure else None,
            "output": await self._output(job) if state is State.DONE else None,
            "created_at": _iso(job.accepted),
            "updated_at": _naive(job.updated),
            "completed_at": _naive(job.completed) if job.over else None,
        }

    async def _output(self, job: Job) -> Json:
        assert job.result is not None
        link = await self._context.link_or_inline(job, job.result)
        return {"media_url": [link], "media_type": job.result.media_type}


def error(status: int, message: str | None = None, *, http_status: int | None = None) -> Reply:
    """An error body of the gateway's queue system."""
    title, usual = _ERRORS.get(status, ("Error", "An error occurred."))
    return as_json({"error": title, "message": message or usual}, status=http_status or status)


def _bad(message: str) -> Reply:
    return error(400, message)


def _model_id(model: Model) -> str:
    first = model.endpoint.strip("/").split("/")[0]
    return _MODEL_IDS.get(first, first)


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _naive(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
