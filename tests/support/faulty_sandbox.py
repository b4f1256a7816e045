"""A sandbox in which things go wrong as tests ask for."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from aiohttp import web
from bent_replies import drop, send_bent
from faults import Action, Do, Faults, Stage
from remote_upscale.api_clients.models import Model
from remote_upscale.api_clients.sandbox import Hooks, Job, Sandbox, apixo, fal_errors, pixazo
from remote_upscale.api_clients.sandbox.exchange import Answer, Incoming
from remote_upscale.api_clients.sandbox.jobs import Failure, JobEnded
from remote_upscale.api_clients.sandbox.problems import InputRefused, Problem
from remote_upscale.api_clients.sandbox.replies import Reply, as_json
from remote_upscale.api_clients.sizes import Size

_FAIL_MESSAGES = {
    "ImageFormatIncorrect": "The upstream service rejected the input image format.",
    "SensitiveContent": "Input or generated content was rejected by safety checks.",
    "RateLimited": "Upstream rate limit was reached.",
    "Timeout": "Upstream service did not finish in time.",
    "Unknown error": "Unknown error.",
}


class FaultySandbox(Sandbox):
    """A sandbox with faults; the arguments are those of ``Sandbox``, but for ``faults``.

    Attributes:
        faults: what goes wrong; more can be added at any time.
    """

    def __init__(self, models: Iterable[Model], *, faults: Faults | None = None, **options: Any) -> None:
        self.faults = faults if faults is not None else Faults()
        self._faulty = _FaultyHooks(self)
        super().__init__(models, hooks=self._faulty, **options)

    async def __aexit__(self, *exc_info: Any) -> None:
        self._faulty.closing.set()
        await super().__aexit__(*exc_info)


class _FaultyHooks(Hooks):
    def __init__(self, sandbox: FaultySandbox) -> None:
        self._sandbox = sandbox
        self._scales: dict[str, float] = {}
        self.closing = asyncio.Event()

    def _take(self, stage: Stage, model: Model) -> Action | None:
        return self._sandbox.faults.take(stage, model.provider, model.id)

    async def exchange(self, incoming: Incoming) -> Answer:
        stage = Stage(incoming.route.stage)
        action = self._sandbox.faults.take(stage, incoming.provider, incoming.model)
        if action is None:
            return await incoming.answer()
        if action.do is Do.RESET:
            return drop(incoming.request)
        await incoming.read()
        early = _early(incoming, action)
        if early is not None:
            return early
        if action.do is Do.HANG and not action.word:
            return await self._hang(incoming.request)
        answer = await incoming.answer()
        if not isinstance(answer, Reply):
            return answer
        match action.do:
            case Do.LOST_REPLY:
                return drop(incoming.request)
            case Do.HANG:
                return await self._hang(incoming.request)
            case Do.FINISHED | Do.FINISHED_LIST:
                return await self._finished(answer, action)
            case _ if action.do in _TWISTS:
                return _twisted(incoming, answer, action)
            case _:
                return await send_bent(incoming.request, answer, action)

    async def before_input(self, job: Job) -> None:
        action = self._take(Stage.INPUT, job.model)
        if action is not None and action.do is Do.HANG:
            await asyncio.Event().wait()
        if action is not None:
            raise InputRefused(Problem.DOWNLOAD, action.message or "Failed to download the input file.")

    async def before_work(self, job: Job) -> None:
        action = self._take(Stage.RUN, job.model)
        if action is not None and action.do is Do.FAILS:
            raise JobEnded(_failure(job.model.provider, action))
        if action is not None and action.do is Do.RESIZED:
            self._scales[job.request_id] = action.scale

    def result_size(self, job: Job, size: Size) -> Size:
        scale = self._scales.get(job.request_id, 1.0)
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        # aiohttp tells a handler by no event that its client has gone.
        while not (self.closing.is_set() or request.transport is None or request.transport.is_closing()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return drop(request)

    async def _finished(self, answer: Reply, action: Action) -> Reply:
        """The submit's reply of a job that is already over."""
        request_id = _object(answer).get("request_id")
        [job] = [job for job in self._sandbox.jobs if job.request_id == request_id]
        assert job.task is not None
        await asyncio.wait([job.task])
        job.starts = job.ends = 0.0
        protocol = self._sandbox.protocols["pixazo"]
        assert isinstance(protocol, pixazo.Pixazo)
        body: dict[str, Any] = await protocol.describe(job)
        if action.do is Do.FINISHED_LIST and job.result:
            return as_json({"output": [{"url": body["output"]["media_url"][0]}]})
        return as_json(body, status=202)


def _early(incoming: Incoming, action: Action) -> Reply | None:
    """The reply of a fault that leaves undone what was asked, if it is one."""
    match action.do:
        case Do.ERROR:
            reply = _error(incoming, action)
            if action.retry_after is None:
                return reply
            header = {"Retry-After": str(math.ceil(action.retry_after))}
            return replace(reply, headers={**reply.headers, **header})
        case Do.LITERAL:
            return Reply(
                status=action.status or 200,
                body=action.body.encode(),
                content_type=action.content_type or "application/json",
            )
        case Do.REDIRECT:
            return Reply(status=action.status or 302, headers={"Location": action.url})
        case Do.IGNORED:
            return as_json({"status": "CANCELLATION_REQUESTED"}, status=202)
        case _:
            return None


def _error(incoming: Incoming, action: Action) -> Reply:
    """The provider's own error body, or a file server's page."""
    status = action.status or 500
    match incoming.route.provider:
        case "pixazo":
            return pixazo.error(status, action.message, http_status=action.http_status)
        case "apixo":
            return apixo.error(status, action.message, http_status=action.http_status)
        case "fal":
            return fal_errors.error(status, action.message, action.code)
        case "":  # a result's link, which belongs to no provider
            page = f"<html><body><h1>Error {status}</h1></body></html>"
            return Reply(status=status, body=page.encode(), content_type="text/html")
        case unknown:
            raise NotImplementedError(f"The errors of {unknown} are to be added here.")


def _failure(provider: str, action: Action) -> Failure:
    code = action.code or ""
    match provider:
        case "pixazo":
            return Failure(code, action.message or "Description of the error", charged=code != "ERROR")
        case "apixo":
            return Failure(code, action.message or _FAIL_MESSAGES.get(code, "The task failed."))
        case "fal":
            return Failure(code, action.message or fal_errors.message_of(code))
        case unknown:
            raise NotImplementedError(f"The failures of {unknown} are to be added here.")


def _object(reply: Reply) -> dict[str, Any]:
    return json.loads(reply.body) if isinstance(reply.body, bytes) else {}


def _twisted(incoming: Incoming, reply: Reply, action: Action) -> Reply:
    """The reply with another state or output in it, where it has one."""
    body = _object(reply)
    _TWISTS[action.do][incoming.provider](body, action)
    return replace(reply, body=json.dumps(body).encode())


def _pixazo_output(body: dict[str, Any], action: Action) -> None:
    output = body.get("output")
    if output and action.do is Do.NO_OUTPUT:
        del output["media_url"]
    elif output:
        output["media_url"] = output["media_url"][0]


def _apixo_output(body: dict[str, Any], action: Action) -> None:
    links = body["data"].pop("resultJson", None)
    if links and action.do is Do.STRING_OUTPUT:
        body["data"]["resultJson"] = json.dumps({"resultUrls": json.loads(links)["resultUrls"][0]})


def _fal_output(body: dict[str, Any], action: Action) -> None:
    file = body.pop("image", None)
    if file and action.do is Do.STRING_OUTPUT:
        body["image"] = file["url"]


_Twist = Callable[[dict[str, Any], Action], None]
_OUTPUTS: dict[str, _Twist] = {"pixazo": _pixazo_output, "apixo": _apixo_output, "fal": _fal_output}
_TWISTS: dict[Do, dict[str, _Twist]] = {
    Do.STATE: {
        "pixazo": lambda body, action: body.update(status=action.word),
        "apixo": lambda body, action: body["data"].update(state=action.word),
        "fal": lambda body, action: body.update(status=action.word),
    },
    Do.NO_OUTPUT: _OUTPUTS,
    Do.STRING_OUTPUT: _OUTPUTS,
}
