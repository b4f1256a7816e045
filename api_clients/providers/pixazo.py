"""Pixazo's gateway: one submit endpoint for each model, one status endpoint for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import (
    BadResponse,
    Cancelled,
    ContentRejected,
    Meaning,
    ProviderFailed,
    ProviderUnavailable,
    RemoteUpscaleError,
)
from ..http_messages import Reply, Request
from ..json_values import as_count, as_list, as_object, as_text
from ..models import Model
from ..parameters import Value
from ..roots import Root
from ..text import clean, in_their_words
from . import pixazo_models
from .base import (
    Done,
    Failed,
    Handle,
    Output,
    Provider,
    Queued,
    Running,
    State,
    Submitted,
    in_path,
    read_request_id,
)
from .statuses import from_status

_LISTED = frozenset({200, 400, 401, 402, 403, 404, 429, 500})
"""The statuses that the pages list, and the one in which an error can be wrapped."""

_GATEWAYS = frozenset({401, 403, 429})
"""Those that the gateway in front decides itself, in a shape of its own."""

_ERROR_FIELDS = frozenset({"error", "message", "request_id", "status", "model_id", "output"})


_NO_MODEL = "Model not found"


class Pixazo(Provider):
    """No cancel, no upload, no balance."""

    name = "pixazo"
    title = "Pixazo"
    key_variable = "PIXAZO_API_KEY"
    roots = (Root("pixazo", "REMOTE_UPSCALE_PIXAZO_URL", "https://gateway.pixazo.ai"),)
    models = pixazo_models.MODELS
    top_up = "https://www.pixazo.ai"

    def authorise(self, key: str) -> Mapping[str, str]:
        return {"Ocp-Apim-Subscription-Key": key}

    def submit(self, model: Model, values: Mapping[str, Value], media_url: str) -> Request:
        body = self.document(model, values, media_url)
        return Request.post_json(f"{self.root}{model.endpoint}", body, {"Cache-Control": "no-cache"})

    def handle(self, model: Model, request_id: str) -> Handle:
        # Never the reply's polling_url: the key only goes to the configured root.
        status_url = f"{self.root}/v2/requests/status/{in_path(request_id)}"
        return Handle(self.name, model.id, request_id, status_url)

    def is_provider_reply(self, reply: Reply) -> bool:
        """``{"error", "message"}`` as under "Queue System Errors", or ``{"statusCode", "message"}``.

        The latter is that of the gateway in front, and only for what that one decides: what it does not find
        is an address of its own, not a job.
        """
        body = reply.object_or_empty()
        if reply.status not in _LISTED or as_text(body.get("message")) is None:
            return False
        if body.keys() == {"statusCode", "message"}:
            code = as_count(body["statusCode"])
            return code in _GATEWAYS and reply.status in (200, code)
        return as_text(body.get("error")) is not None and body.keys() <= _ERROR_FIELDS

    def read_error(self, reply: Reply) -> RemoteUpscaleError | None:
        body = reply.object_or_empty()
        said = body.get("message") or body.get("error") or body.get("detail") or ""
        # The gateway in front wraps its own refusals as {"statusCode": …, "message": …}.
        code = as_count(body.get("statusCode")) or 0
        status = code if 400 <= code < 600 and reply.status == 200 else reply.status
        if status == 400 and body.get("error") == _NO_MODEL:
            status = 404
        return from_status(self, reply, said, status)

    def raise_error(self, reply: Reply) -> None:
        # Of a model that was taken off the gateway it says nothing about the jobs that it has.
        if reply.object_or_empty().get("error") == _NO_MODEL:
            raise ProviderUnavailable(
                "Pixazo does not tell the job's state, as it does not offer the model at the moment.",
                hint="Ask its support with the request id if that stays so.",
                meaning=Meaning.UNKNOWN,
            )
        super().raise_error(reply)

    def read_accepted(self, model: Model, reply: Reply) -> Submitted:
        body = reply.object()
        handle = None
        if body.get("request_id") is not None:
            handle = self.handle(model, read_request_id(body["request_id"]))
        output = _output(body)
        if handle is None and output is None:
            raise BadResponse("Pixazo accepted the job but gave no request_id for it.")
        # Some of its upscalers answer at once, with the result and without a status word.
        state = self.read_state(reply) if body.get("status") else (Done(output) if output else Queued())
        return Submitted(handle, state)

    def read_state(self, reply: Reply) -> State:
        body = reply.object()
        word = clean(body.get("status", ""), 40)
        match word.upper():
            case "QUEUED":
                return Queued()
            case "PROCESSING":
                return Running()
            case "COMPLETED":
                output = _output(body)
                if output is None:
                    raise BadResponse(
                        "Pixazo says that the job is done but gives no media_url.", meaning=Meaning.UNKNOWN
                    )
                return Done(output)
            case "FAILED" | "ERROR" | "CANCELLED" | "CANCELED" if as_text(body.get("request_id")) is None:
                # Many a proxy says {"status": "error"}; the pages' status always names its job.
                raise BadResponse(
                    f"The answer says {word}, but not of which job at Pixazo.", meaning=Meaning.UNKNOWN
                )
            case "FAILED" | "ERROR" | "CANCELLED" | "CANCELED" as ended:
                # "System error — not charged", say the pages of ERROR, and nothing of the others.
                return Failed(_failure(ended, body.get("error")), charged=ended != "ERROR")
            case _:
                return Running(note=word or "no status")


def _failure(word: str, reason: object) -> RemoteUpscaleError:
    said = in_their_words(reason)
    if word.startswith("CANCEL"):
        return Cancelled(f"The job was cancelled at Pixazo{said}", hint="Run it again if you want it.")
    lower = str(reason).lower()
    if any(sign in lower for sign in ("nsfw", "safety", "content policy", "moderation")):
        return ContentRejected(f"Pixazo rejected the content{said}", hint="Use another input.")
    if word == "ERROR":
        return ProviderFailed(f"Pixazo could not run the job{said}", hint="It was not charged; run it again.")
    return ProviderFailed(
        f"The job failed at Pixazo{said}",
        hint="Try other parameters or another input; whether a failed job is charged is not documented.",
    )


def _output(body: Mapping[str, Any]) -> Output | None:
    """The result's link, which comes as a list, as one string, or as a list of objects with a url."""
    link = _first_link(body.get("output"))
    media_type = as_text(as_object(body.get("output")).get("media_type"))
    return Output(link, media_type) if link else None


def _first_link(value: Any, depth: int = 3) -> str | None:
    if depth == 0:
        return None
    if as_list(value):
        return _first_link(value[0], depth - 1)
    if as_object(value):
        return _first_link(value.get("media_url") or value.get("url"), depth - 1)
    return as_text(value)
