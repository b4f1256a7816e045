"""APIXO, as its page describes it: everything in an envelope of ``code``, ``message`` and ``data``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from aiohttp import web

from ..models import Model
from ..parameters import Choice
from .checks import Flaw, check
from .exchange import Call, Route, Stage
from .jobs import Failure, Job, State
from .problems import InputRefused, Problem
from .protocol import Protocol
from .replies import Json, Reply, as_json, read_object

_STATES = {State.QUEUED: "pending", State.RUNNING: "processing", State.DONE: "success"}

_MESSAGES = {
    400: "Invalid request.",
    401: "Missing or invalid API key",
    402: "Insufficient balance or quota",
    403: "Key or route cannot access the model",
    404: "Task not found",
    429: "Rate limit or concurrency limit reached",
    500: "Server or unmapped upstream error",
    502: "Upstream service error",
    504: "Upstream timeout",
}
_FAIL_CODES = {
    Problem.DOWNLOAD: "IMAGE_DOWNLOAD_FAILED",
    Problem.FORMAT: "ImageFormatIncorrect",
    Problem.DAMAGED: "ImageFormatIncorrect",
    Problem.BYTES: "IMAGE_TOO_LARGE",
    Problem.PIXELS: "IMAGE_TOO_LARGE",
    Problem.INTERNAL: "Unknown error",
}
_TOP_LEVEL = ("request_type", "callback_url")
"""Parameters that stand beside ``input``, not in it."""


class Apixo(Protocol):
    """Submit, status, and the account's balance."""

    provider = "apixo"
    paths: ClassVar[Mapping[str, str]] = {"apixo": "/apixo/api/v1"}

    def routes(self) -> list[Route]:
        root = self.paths["apixo"]
        return [
            Route(
                method="GET",
                path=f"{root}/apikeys/current-balance",
                stage=Stage.BALANCE,
                provider=self.provider,
                handler=self._balance,
            ),
            Route(
                method="GET",
                path=root + "/statusTask/{name}",
                stage=Stage.STATUS,
                provider=self.provider,
                handler=self._status,
                model_of=self._model_of_task,
            ),
            Route(
                method="POST",
                path=root + "/{endpoint:generateTask/.+}",
                stage=Stage.SUBMIT,
                provider=self.provider,
                handler=self._submit,
                model_of=self._model_of_endpoint,
            ),
        ]

    def refused(self, refusal: InputRefused) -> Failure:
        return Failure(_FAIL_CODES[refusal.problem], refusal.message)

    def _model_of_endpoint(self, request: web.Request) -> str | None:
        model = self._context.model_at(self.provider, request.match_info["endpoint"])
        return model.id if model else None

    def _model_of_task(self, request: web.Request) -> str | None:
        job = self._context.jobs.find(request.query.get("taskId", ""))
        return job.model.id if job else None

    def _locked_out(self, call: Call) -> Reply | None:
        scheme, _, key = call.request.headers.get("Authorization", "").partition(" ")
        valid = scheme == "Bearer" and self._context.accepts(self.provider, key.strip())
        return None if valid else error(401)

    async def _balance(self, call: Call) -> Reply:
        # The pages name the address only; the shape of its data is a guess.
        return self._locked_out(call) or _envelope({"balance": 100.0})

    async def _submit(self, call: Call) -> Reply:
        locked = self._locked_out(call)
        if locked:
            return locked
        model = self._context.model_at(self.provider, call.request.match_info["endpoint"])
        if model is None:
            return error(404, "Model not found")
        body = read_object(call.body)
        if body is None or call.request.content_type != "application/json":
            return error(400)
        checked = _read_input(model, body)
        if isinstance(checked, Reply):
            return checked
        address, given = checked
        values, flaws = check(model, given)
        if flaws:
            # The page's order: what was checked before the image is already reported.
            return error(400, _flaw_message(flaws[0]))
        job = await self._context.jobs.accept(
            f"task_{uuid.uuid4().hex}", model, body=body, values=values, address=address, outcomes=self
        )
        return _envelope({"taskId": job.request_id}, headers=job.retry_after)

    async def _status(self, call: Call) -> Reply:
        locked = self._locked_out(call)
        if locked:
            return locked
        job = self._context.jobs.find(call.request.query.get("taskId", ""))
        if job is None or job.model.endpoint.rpartition("/")[2] != call.request.match_info["name"]:
            return error(404)
        return _envelope(self._describe(job))

    def _describe(self, job: Job) -> Json:
        state = job.state
        data: Json = {"taskId": job.request_id, "state": _STATES.get(state, "failed")}
        if state is State.DONE:
            assert job.result is not None
            link = self._context.link(job, job.result)
            data["resultJson"] = json.dumps({"resultUrls": [link]}, separators=(",", ":"))
        if state is State.FAILED and job.failure:
            data |= {"failCode": job.failure.code, "failMsg": job.failure.message}
        data["createTime"] = _milliseconds(job.accepted)
        if job.over:
            data["completeTime"] = _milliseconds(job.completed)
        if state is State.DONE:
            data["costTime"] = _milliseconds(job.completed) - _milliseconds(job.accepted)
        return data


def _read_input(model: Model, body: Json) -> tuple[str, Json] | Reply:
    """The input's address and the parameters, or the refusal that the page documents."""
    given = body.get("input")
    if given is None:
        return error(400, "The required parameter {{input}} is missing.")
    if not isinstance(given, dict):
        return error(400, "The parameter {{input}} must be Object type.")
    fields: Json = {str(name): value for name, value in given.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if fields.get("mode", "image-to-image") != "image-to-image":
        return error(400, "Invalid mode type. Supported: image-to-image")
    field = "{{" + model.media_field + "}}"
    images = fields.get(model.media_field)
    message = _image_flaw(images, field)
    if message:
        return error(400, message)
    assert isinstance(images, list)
    return str(images[0]), fields | {name: body[name] for name in _TOP_LEVEL if name in body}  # pyright: ignore[reportUnknownArgumentType]


def _image_flaw(images: object, field: str) -> str | None:
    if images is None:
        return f"The required parameter {field} is missing."
    if not isinstance(images, list):
        return f"The parameter {field} must be Array type."
    if len(images) != 1:  # pyright: ignore[reportUnknownArgumentType]
        return f"The parameter {field} must contain exactly 1 image."
    if not isinstance(images[0], str):
        return f"The parameter {field} Array elements must be String type."
    if not images[0].strip():
        return f"The parameter {field} cannot contain empty string."
    return None


def _flaw_message(flaw: Flaw) -> str:
    name = "{{" + flaw.parameter.name + "}}"
    if flaw.value is None:
        return f"The required parameter {name} is missing."
    if isinstance(flaw.parameter, Choice):
        *most, last = (f"'{choice}'" for choice in flaw.parameter.choices)
        words = f"either {', '.join(most)} or {last}" if most else last
        return f"The parameter {name} must be {words}."
    return f"The parameter {name} must be {flaw.parameter.allowed}."


def _envelope(data: Json, *, headers: dict[str, str] | None = None) -> Reply:
    return as_json({"code": 200, "message": "success", "data": data}, headers=headers)


def error(code: int, message: str | None = None, *, http_status: int | None = None) -> Reply:
    """An error envelope."""
    text = message or _MESSAGES.get(code, "Error")
    return as_json({"code": code, "message": text, "data": None}, status=http_status or code)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
