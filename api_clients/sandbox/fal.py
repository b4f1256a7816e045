"""fal as its pages describe it: the queue, and with it the storage and the list of requests."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web

from . import fal_errors
from .checks import check
from .context import Context
from .exchange import Call, Handler, Route, Stage
from .fal_access import locked_out
from .fal_history import FalHistory
from .jobs import Failure, Job, State
from .problems import InputRefused
from .protocol import Protocol
from .replies import Json, Reply, as_json, read_object
from .storage import Storage


class Fal(Protocol):
    """Submit at the whole endpoint; status, result and cancel below owner and app only."""

    provider = "fal"
    paths: ClassVar[Mapping[str, str]] = {
        "fal_queue": "/fal/queue",
        "fal_rest": "/fal/rest",
        "fal_cdn": "/fal/cdn",
        "fal_api": "/fal/api",
    }
    takes_inline = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._storage = Storage(context)
        self._history = FalHistory(context)

    def add_pages(self, router: web.UrlDispatcher) -> None:
        router.add_get("/fal/cdn/files/b/{id}/{name}", self._storage.serve)

    def routes(self) -> list[Route]:
        base = "/fal/queue/{owner}/{app}/requests/{id}"
        return [
            *self._storage.routes(),
            *self._history.routes(),
            self._route("GET", f"{base}/status/stream", Stage.STATUS, self._stream),
            self._route("GET", f"{base}/status", Stage.STATUS, self._status),
            self._route("PUT", f"{base}/cancel", Stage.CANCEL, self._cancel),
            self._route("GET", base, Stage.RESULT, self._result),
            self._route("POST", "/fal/queue/{endpoint:.+}", Stage.SUBMIT, self._submit),
        ]

    def refused(self, refusal: InputRefused) -> Failure:
        return Failure(fal_errors.PROBLEM_TYPES[refusal.problem], refusal.message)

    def _route(self, method: str, path: str, stage: Stage, handler: Handler) -> Route:
        return Route(
            method=method,
            path=path,
            stage=stage,
            provider=self.provider,
            handler=handler,
            model_of=self._model_of,
        )

    def _model_of(self, request: web.Request) -> str | None:
        if "endpoint" in request.match_info:
            model = self._context.model_at(self.provider, request.match_info["endpoint"])
            return model.id if model else None
        job = self._context.jobs.find(request.match_info["id"])
        return job.model.id if job else None

    async def _submit(self, call: Call) -> Reply:
        locked = locked_out(self._context, call.request)
        if locked:
            return locked
        endpoint = call.request.match_info["endpoint"]
        model = self._context.model_at(self.provider, endpoint)
        if model is None:
            app = endpoint.partition("/")[2].partition("/")[0] or endpoint
            return fal_errors.plain(f"Application '{app}' not found", status=404)
        body = read_object(call.body)
        if body is None:
            item = fal_errors.detail("json_invalid", "JSON decode error")
            return fal_errors.details([item])
        values, flaws = check(model, body)
        items = [fal_errors.describe(flaw) for flaw in flaws]
        address = body.get(model.media_field)
        if address is None:
            items.insert(0, fal_errors.missing(model.media_field))
        elif not isinstance(address, str):
            item = fal_errors.detail(
                "string_type", "Input should be a valid string", location=model.media_field, value=address
            )
            items.insert(0, item)
        if items:
            return fal_errors.details(items)
        job = await self._context.jobs.accept(
            str(uuid.uuid4()), model, body=body, values=values, address=str(address), outcomes=self
        )
        position = self._context.jobs.ahead(job)
        return as_json({**self._links(job), "queue_position": position}, headers=job.retry_after)

    def _links(self, job: Job) -> Json:
        owner_and_app = "/".join(job.model.endpoint.strip("/").split("/")[:2])
        base = f"{self._context.roots.fal_queue}/{owner_and_app}/requests/{job.request_id}"
        return {
            "request_id": job.request_id,
            "response_url": base,
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
        }

    def _find(self, call: Call) -> Job | Reply:
        locked = locked_out(self._context, call.request)
        if locked:
            return locked
        info = call.request.match_info
        job = self._context.jobs.find(info["id"])
        if job is None or job.model.endpoint.strip("/").split("/")[:2] != [info["owner"], info["app"]]:
            return fal_errors.plain("Request not found", status=404)
        return job

    async def _status(self, call: Call) -> Reply:
        job = self._find(call)
        if isinstance(job, Reply):
            return job
        with_logs = call.request.query.get("logs", "").lower() in ("1", "true")
        body = self._describe(job, with_logs=with_logs)
        return as_json(body, status=200 if job.over else 202)

    async def _stream(self, call: Call) -> Reply | web.StreamResponse:
        job = self._find(call)
        if isinstance(job, Reply):
            return job
        with_logs = call.request.query.get("logs", "").lower() in ("1", "true")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(call.request)
        told: Json = {}
        while True:
            body = self._describe(job, with_logs=with_logs)
            if body != told:
                await response.write(f"data: {json.dumps(body)}\n\n".encode())
                told = body
            if job.over:
                await response.write_eof()
                return response
            await asyncio.sleep(0.05)

    def _describe(self, job: Job, *, with_logs: bool) -> Json:
        body = self._links(job)
        state = job.state
        if state is State.QUEUED:
            return {"status": "IN_QUEUE", **body, "queue_position": self._context.jobs.ahead(job)}
        body["logs"] = _logs(job) if with_logs else None
        if not job.over:
            return {"status": "IN_PROGRESS", **body}
        body["metrics"] = {"inference_time": (job.completed - job.accepted).total_seconds()}
        failure = _failure(job)
        if failure:
            body |= {"error": failure.message, "error_type": failure.code}
        return {"status": "COMPLETED", **body}

    async def _result(self, call: Call) -> Reply:
        job = self._find(call)
        if isinstance(job, Reply):
            return job
        if not job.over:
            return fal_errors.plain("Request is still in progress", status=400)
        failure = _failure(job)
        if failure:
            return fal_errors.failed_result(failure.code, failure.message, job.model.media_field, job.address)
        return as_json(await self._output(job))

    async def _output(self, job: Job) -> Json:
        assert job.result is not None
        link = await self._context.link_or_inline(job, job.result)
        file: Json = {
            "url": link,
            "content_type": job.result.media_type,
            "file_name": job.result.path.name,
            "file_size": job.result.length,
            "width": job.result.size[0],
            "height": job.result.size[1],
        }
        kind = job.model.media.value
        seed = job.values.get("seed", random.Random(job.request_id).randrange(2**31))  # noqa: S311
        return {kind: file, "seed": seed}

    async def _cancel(self, call: Call) -> Reply:
        job = self._find(call)
        if isinstance(job, Reply):
            return as_json({"status": "NOT_FOUND"}, status=404) if job.status == 404 else job
        if job.over:
            return as_json({"status": "ALREADY_COMPLETED"}, status=400)
        self._context.jobs.cancel(job)
        return as_json({"status": "CANCELLATION_REQUESTED"}, status=202)


def _failure(job: Job) -> Failure | None:
    if job.state is State.CANCELLED:
        return Failure("client_cancelled", "Request was cancelled")
    return job.failure


def _logs(job: Job) -> list[Json]:
    words = ["Fetching the input", "Upscaling"] if job.state is State.RUNNING else ["Upscaling", "Done"]
    stamp = job.updated.isoformat()
    return [{"message": word, "level": "INFO", "source": "USER", "timestamp": stamp} for word in words]
