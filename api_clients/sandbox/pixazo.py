"""The Pixazo gateway, as its pages describe it."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime

from aiohttp import web

from ..models import Model
from .checks import check
from .context import Context
from .exchange import Call, Route
from .faults import Action, Do, Stage
from .jobs import Failure, Job, Outcomes, State
from .problems import InputRefused, Problem
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


class Pixazo(Outcomes):
    """The gateway's two operations: submit, and one status address for all models."""

    provider = "pixazo"

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The addresses that it answers."""
        return [
            Route(
                method="GET",
                path="/pixazo/v2/requests/status/{id}",
                stage=Stage.STATUS,
                provider=self.provider,
                handler=self._status,
                error=error,
                model_of=self._model_of_job,
            ),
            Route(
                method="POST",
                path="/pixazo/{endpoint:.+}",
                stage=Stage.SUBMIT,
                provider=self.provider,
                handler=self._submit,
                error=error,
                model_of=self._model_of_endpoint,
            ),
        ]

    def refused(self, refusal: InputRefused) -> Failure:
        if refusal.problem in (Problem.DOWNLOAD, Problem.INTERNAL):
            return Failure("ERROR", refusal.message, charged=False)
        return Failure("FAILED", refusal.message)

    def ends(self, code: str, message: str | None) -> Failure:
        return Failure(code, message or "Description of the error", charged=code != "ERROR")

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
        return await self._accepted(call, job)

    async def _accepted(self, call: Call, job: Job) -> Reply:
        if call.twisted(Do.FINISHED) or call.twisted(Do.FINISHED_LIST):
            assert job.task is not None
            await asyncio.wait([job.task])
            job.starts = job.ends = 0.0
            if call.twisted(Do.FINISHED_LIST) and job.result:
                return as_json({"output": [{"url": self._context.link(job, job.result)}]})
            return as_json(await self._describe(job, None), status=202)
        polling = f"{self._context.roots.pixazo}/v2/requests/status/{job.request_id}"
        accepted = {"request_id": job.request_id, "status": "QUEUED", "polling_url": polling}
        return as_json(accepted, status=202, headers=job.retry_after)

    async def _status(self, call: Call) -> Reply:
        locked = self._locked_out(call)
        if locked:
            return locked
        job = self._context.jobs.find(call.request.match_info["id"])
        if job is None or job.model.provider != self.provider:
            return error(Action(do=Do.ERROR, status=404, message="Request not found."))
        return as_json(await self._describe(job, call.twist))

    async def _describe(self, job: Job, twist: Action | None) -> Json:
        state = job.state
        word = job.failure.code if state is State.FAILED and job.failure else _WORDS[state]
        return {
            "request_id": job.request_id,
            "status": twist.word if twist and twist.do is Do.STATE else word,
            "model_id": _model_id(job.model),
            "error": job.failure.message if state is State.FAILED and job.failure else None,
            "output": await self._output(job, twist) if state is State.DONE else None,
            "created_at": _iso(job.accepted),
            "updated_at": _naive(job.updated),
            "completed_at": _naive(job.completed) if job.over else None,
        }

    async def _output(self, job: Job, twist: Action | None) -> Json:
        assert job.result is not None
        link = await self._context.link_or_inline(job, job.result)
        output: Json = {"media_url": [link], "media_type": job.result.media_type}
        if twist and twist.do is Do.NO_OUTPUT:
            del output["media_url"]
        elif twist and twist.do is Do.STRING_OUTPUT:
            output["media_url"] = link
        return output


def error(action: Action) -> Reply:
    """An error body of the gateway's queue system."""
    status = action.status or 500
    title, message = _ERRORS.get(status, ("Error", "An error occurred."))
    body = {"error": title, "message": action.message or message}
    return as_json(body, status=action.http_status or status)


def _bad(message: str) -> Reply:
    return error(Action(do=Do.ERROR, status=400, message=message))


def _model_id(model: Model) -> str:
    first = model.endpoint.strip("/").split("/")[0]
    return _MODEL_IDS.get(first, first)


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def _naive(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
