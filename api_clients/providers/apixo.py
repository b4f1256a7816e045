"""APIXO's image upscaler."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..errors import (
    BadResponse,
    ContentRejected,
    HostingFailed,
    InvalidInput,
    Meaning,
    ProviderFailed,
    RateLimited,
    RemoteUpscaleError,
    TimedOut,
)
from ..http_messages import Reply, Request
from ..json_values import as_count, as_list, as_object, as_text
from ..models import Limits, Media, Model
from ..parameters import Choice, Text, Value
from ..prices import PerJob
from ..roots import Root
from ..sizes import ByTier
from ..text import clean, in_their_words
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
from .statuses import empty_balance, from_status

IMAGE_UPSCALER = Model(
    id="apixo/image-upscaler",
    node_id="RemoteUpscaleApixoImage",
    title="Image Upscaler (APIXO)",
    summary="Upscales a picture to a 2k, 4k or 8k tier, at one price whatever the tier.",
    endpoint="/generateTask/image-upscaler",
    media=Media.IMAGE,
    media_field="image_urls",
    parameters=(
        Choice(
            name="request_type",
            help="How the result is delivered: async for waiting, callback for also calling callback_url.",
            choices=("async", "callback"),
            default="async",
            advanced=True,
            affects_result=False,
        ),
        Text(
            name="callback_url",
            help="Public address that the provider calls with the result.",
            https=True,
            only_with=("request_type", "callback"),
            required=True,
            advanced=True,
            affects_result=False,
        ),
        Choice(
            name="mode",
            help="The upscaling mode; there is only one.",
            choices=("image-to-image",),
            default="image-to-image",
            advanced=True,
        ),
        Choice(
            name="resolution",
            help="Size of the result: 2k, 4k or 8k, about so many thousand pixels on the longer side.",
            choices=("2k", "4k", "8k"),
            default="4k",
            ignore_case=True,
        ),
        Choice(
            name="output_format",
            help="File format of the result: png is lossless, jpg small, webp modern and efficient.",
            choices=("jpg", "png", "webp"),
            default="jpg",
            aliases={"jpeg": "jpg"},
        ),
    ),
    limits=Limits(formats=("png", "jpeg", "webp"), max_bytes=10_000_000),
    sizing=ByTier({"2k": 2048, "4k": 4096, "8k": 8192}),
    price=PerJob(Decimal("0.01"), source="APIXO's page"),
    first_poll=10,
    result_format="jpeg",
)


class Apixo(Provider):
    """Every body is an envelope ``code``, ``message``, ``data``; an HTTP 200 can carry an error."""

    name = "apixo"
    title = "APIXO"
    key_variable = "APIXO_API_KEY"
    roots = (Root("apixo", "REMOTE_UPSCALE_APIXO_URL", "https://api.apixo.ai/api/v1"),)
    models = (IMAGE_UPSCALER,)
    top_up = "https://apixo.ai"

    def authorise(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def document(self, model: Model, values: Mapping[str, Value], media_url: str) -> dict[str, object]:
        outer = {name: values[name] for name in ("request_type", "callback_url") if name in values}
        inner = {name: value for name, value in values.items() if name not in outer}
        mode = {"mode": inner.pop("mode")} if "mode" in inner else {}
        return {**outer, "input": {**mode, model.media_field: [media_url], **inner}}

    def handle(self, model: Model, request_id: str) -> Handle:
        path = model.endpoint.replace("/generateTask/", "/statusTask/")
        return Handle(self.name, model.id, request_id, f"{self.root}{path}?taskId={in_path(request_id)}")

    def balance(self) -> Request | None:
        return Request("GET", f"{self.root}/apikeys/current-balance")

    def is_provider_reply(self, reply: Reply) -> bool:
        """The whole envelope, as all of the page's bodies are, with the HTTP status or inside a 200."""
        body = reply.object_or_empty()
        wrapped = isinstance(body.get("message"), str) and "data" in body
        return wrapped and as_count(body.get("code")) is not None and reply.status in (200, body["code"])

    def read_balance(self, reply: Reply) -> str:
        self.raise_error(reply)
        if not self.is_provider_reply(reply):  # the page names the address only, not what stands in "data"
            raise BadResponse(
                "APIXO's answer is not in its envelope.",
                hint="A proxy in between may have answered; try again later.",
                meaning=Meaning.UNKNOWN,
            )
        return "the key works"

    def read_error(self, reply: Reply) -> RemoteUpscaleError | None:
        body = reply.object_or_empty()
        code = as_count(body.get("code")) or 0
        status = code if code >= 300 and reply.status == 200 else reply.status
        said = [body.get("message"), as_object(body.get("data")).get("error")]
        return from_status(self, reply, ": ".join(str(words) for words in said if words), status)

    def read_accepted(self, model: Model, reply: Reply) -> Submitted:
        handle = self.handle(model, read_request_id(_data(reply).get("taskId")))
        return Submitted(handle, self.read_state(reply) if _data(reply).get("state") else Queued())

    def read_state(self, reply: Reply) -> State:
        data = _data(reply)
        word = clean(data.get("state", ""), 40)
        match word.lower():
            case "pending":
                return Queued()
            case "processing":
                return Running()
            case "success":
                return Done(_result(data.get("resultJson")))
            case "failed" if as_text(data.get("taskId")) is None:
                raise BadResponse(
                    "The answer says failed, but not of which job at APIXO.", meaning=Meaning.UNKNOWN
                )
            case "failed":
                return Failed(_failure(data.get("failCode"), data.get("failMsg")))
            case _:
                return Running(note=word or "no state")


def _failure(code: object, message: object) -> RemoteUpscaleError:
    """The error of a ``failCode``: the page's vocabulary and an older one; unknown codes verbatim."""
    said = in_their_words(message, f" ({clean(code)}).")
    match str(code):
        case "ImageFormatIncorrect":
            return InvalidInput(f"APIXO rejects the picture's format{said}", hint="Use a PNG, JPEG or WebP.")
        case "IMAGE_TOO_LARGE":
            return InvalidInput(f"The picture is too large for APIXO{said}", hint="Use a smaller one.")
        case "SensitiveContent" | "CONTENT_VIOLATION":
            return ContentRejected(f"APIXO rejected the content{said}", hint="Use another picture.")
        case "IMAGE_DOWNLOAD_FAILED":
            return HostingFailed(
                f"APIXO could not fetch the picture{said}",
                hint="Its link must be public; `remote-upscale check` looks at the hosting.",
            )
        case "INSUFFICIENT_CREDITS":
            return empty_balance(Apixo, message)
        case "RateLimited":
            return RateLimited(
                f"APIXO's upstream is at its limit{said}", hint="Run it again in a few minutes."
            )
        case "Timeout":
            return TimedOut(f"APIXO's upstream did not finish in time{said}", hint="Run it again.")
        case _:
            return ProviderFailed(
                f"The job failed at APIXO, code {clean(code)}{said}",
                hint="Run it again, or ask APIXO's support with the request id.",
            )


def _result(text: object) -> Output:
    """The link in ``resultJson``, which is a JSON *string*."""
    try:
        result = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        result = None
    links = as_object(result).get("resultUrls")
    link = as_text(next(iter(as_list(links)), links))
    if link is None:
        raise BadResponse(
            "APIXO says that the job is done but gives no result link.", meaning=Meaning.UNKNOWN
        )
    return Output(link)


def _data(reply: Reply) -> dict[str, Any]:
    data = as_object(reply.object().get("data"))
    if not data:
        raise BadResponse("APIXO's answer has no data.", meaning=Meaning.UNKNOWN)
    return data
