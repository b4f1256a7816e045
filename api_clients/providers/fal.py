"""fal: SeedVR2 for images, and its seamless variant for textures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..errors import (
    BadResponse,
    Cancelled,
    ContentRejected,
    HostingFailed,
    InvalidInput,
    InvalidParameter,
    Meaning,
    ProviderFailed,
    ProviderUnavailable,
    RemoteUpscaleError,
    TimedOut,
)
from ..http_messages import Reply, Request
from ..json_values import as_count, as_list, as_object, as_text
from ..models import Limits, Media, Model
from ..parameters import Choice, Flag, Integer, Number, Parameter, Value
from ..prices import PerOutputMegapixel
from ..sizes import ByMode
from ..text import clean, in_their_words
from . import fal_history
from .base import (
    Done,
    Failed,
    Found,
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


def _parameters(*, formats: tuple[str, ...], default_format: str, safety: bool) -> tuple[Parameter, ...]:
    """What the two endpoints share; they differ in a safety switch and in how they spell JPEG."""
    checker = Flag(
        name="enable_safety_checker",
        help="Let the provider's safety checker look at the picture.",
        default=True,
        advanced=True,
    )
    return (
        Choice(
            name="upscale_mode",
            help="How the size is chosen: factor multiplies both sides, target aims at a resolution.",
            choices=("target", "factor"),
            default="factor",
        ),
        Number(
            name="upscale_factor",
            help="How many times larger each side becomes.",
            minimum=1,
            maximum=10,
            default=2,
            only_with=("upscale_mode", "factor"),
        ),
        Choice(
            name="target_resolution",
            help="The resolution to aim at, whatever the input's size.",
            choices=("720p", "1080p", "1440p", "2160p"),
            default="1080p",
            only_with=("upscale_mode", "target"),
        ),
        Integer(
            name="seed",
            help="Random seed: the same seed gives the same result. Leave it out for a random one.",
        ),
        Number(
            name="noise_scale",
            help="How much noise the generation starts from: higher invents more detail.",
            minimum=0,
            maximum=1,
            step=0.001,
            default=0.1,
        ),
        *((checker,) if safety else ()),
        Choice(
            name="output_format",
            help="File format of the result: png is lossless, the JPEG one small, webp modern and efficient.",
            choices=formats,
            default=default_format,
        ),
        Flag(
            name="sync_mode",
            help="Send the result inside the reply instead of as a link; it then stays out of fal's history.",
            default=False,
            advanced=True,
            affects_result=False,
        ),
    )


SEEDVR2_IMAGE = Model(
    id="fal/seedvr2-image",
    node_id="RemoteUpscaleFalSeedVR2Image",
    title="SeedVR2 Image (fal)",
    summary="Upscales and restores a picture with SeedVR2.",
    endpoint="/fal-ai/seedvr/upscale/image",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=_parameters(formats=("png", "jpg", "webp"), default_format="jpg", safety=False),
    limits=Limits(formats=("png", "jpeg", "webp")),
    sizing=ByMode(),
    price=PerOutputMegapixel(Decimal("0.001"), source="fal's documentation, undated"),
    first_poll=2.5,
    result_format="jpeg",
)

SEEDVR2_SEAMLESS = Model(
    id="fal/seedvr2-seamless",
    node_id="RemoteUpscaleFalSeedVR2Seamless",
    title="SeedVR2 Seamless (fal)",
    summary="Upscales a tileable texture with SeedVR2 so that it still tiles.",
    endpoint="/fal-ai/seedvr/upscale/image/seamless",
    media=Media.IMAGE,
    media_field="image_url",
    parameters=_parameters(formats=("png", "jpeg", "webp"), default_format="png", safety=True),
    limits=Limits(formats=("png", "jpeg", "webp")),
    sizing=ByMode(),
    price=PerOutputMegapixel(Decimal("0.0025"), source="fal's documentation, undated"),
    first_poll=2.5,
)


class Fal(Provider):
    """A queue: submit, status, result and cancel, each under its own URL."""

    name = "fal"
    title = "fal"
    models = (SEEDVR2_IMAGE, SEEDVR2_SEAMLESS)
    top_up = "https://fal.ai/dashboard/billing"
    cancels = True

    @property
    def root(self) -> str:
        return self.roots.fal_queue

    def authorise(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Key {key}"}

    def handle(self, model: Model, request_id: str) -> Handle:
        # Follow-up URLs carry only the owner and the app, not the rest of the endpoint.
        owner, app = model.endpoint.strip("/").split("/")[:2]
        base = f"{self.root}/{owner}/{app}/requests/{in_path(request_id)}"
        return Handle(self.name, model.id, request_id, f"{base}/status", base, f"{base}/cancel")

    def is_provider_reply(self, reply: Reply) -> bool:
        return bool(_details(reply))

    def read_error(self, reply: Reply) -> RemoteUpscaleError | None:
        details = _details(reply)
        error = _typed_error(details, reply) if reply.status >= 400 else None
        if error is not None:
            return error
        said = "; ".join(filter(None, (clean(detail.get("msg", "")) for detail in details)))
        if reply.status == 403 and any(
            word in said.lower() for word in ("exhausted balance", "user is locked")
        ):
            return empty_balance(self, said)
        return from_status(self, reply, said)

    def read_accepted(self, model: Model, reply: Reply) -> Submitted:
        body = reply.object()
        built = self.handle(model, read_request_id(body.get("request_id")))
        handle = Handle(
            self.name,
            model.id,
            built.request_id,
            self.under_root(body.get("status_url")) or built.status_url,
            self.under_root(body.get("response_url")) or built.result_url,
            self.under_root(body.get("cancel_url")) or built.cancel_url,
        )
        return Submitted(handle, Queued(as_count(body.get("queue_position"))))

    def read_state(self, reply: Reply) -> State:
        body = reply.object()
        word = clean(body.get("status", ""), 40)
        match word.upper():
            case "IN_QUEUE":
                return Queued(as_count(body.get("queue_position")))
            case "IN_PROGRESS":
                return Running()
            case "COMPLETED" if body.get("error") or body.get("error_type"):
                detail = {"msg": body.get("error"), "type": body.get("error_type")}
                return Failed(_typed_error([detail], reply) or _failed(detail))
            case "COMPLETED":
                return Done(None)
            case _:
                return Running(note=word or "no status")

    @property
    def history_root(self) -> str:
        return self.roots.fal_api

    def find(self, model: Model, since: datetime, until: datetime, page: str | None = None) -> Request | None:
        return fal_history.request(self.history_root, model, since, until, page)

    def read_found(
        self, model: Model, reply: Reply, values: Mapping[str, Value], is_input: Callable[[str], bool]
    ) -> Found:
        error = self.read_error(reply)
        if error is not None:
            raise error
        ids, page = fal_history.read(model, reply.object(), values, is_input)
        return Found(tuple(self.handle(model, request_id) for request_id in ids), page)

    def result(self, handle: Handle) -> Request:
        return Request("GET", handle.result_url or handle.status_url.removesuffix("/status"))

    def read_result(self, reply: Reply) -> State:
        details = _details(reply)
        if reply.status == 400 and any("still in progress" in str(detail.get("msg")) for detail in details):
            return Running()
        if reply.status >= 400 and any(detail.get("type") for detail in details):
            return Failed(_typed_error(details, reply) or _failed(details[0]))
        error = self.read_error(reply)
        if error is not None:
            raise error
        image = as_object(reply.object().get("image"))
        link = as_text(image.get("url"))
        if link is None:
            raise BadResponse(
                "fal says that the job is done but its result has no image.", meaning=Meaning.UNKNOWN
            )
        return Done(Output(link, as_text(image.get("content_type"))))


def _details(reply: Reply) -> list[dict[str, Any]]:
    """The errors in a reply as ``{"msg", "type", "loc"}``, whichever of the two documented shapes it has.

    ``input`` is left out on purpose: it holds links.
    """
    body = reply.object_or_empty()
    detail = body.get("detail")
    if as_list(detail):
        items = [as_object(item) for item in as_list(detail)]
        return [{name: item.get(name) for name in ("msg", "type", "loc")} for item in items]
    if detail or body.get("error_type"):
        return [{"msg": detail or body.get("error"), "type": body.get("error_type")}]
    return []


def _typed_error(details: list[dict[str, Any]], reply: Reply) -> RemoteUpscaleError | None:
    """The error of the first detail whose type we know."""
    for detail in details:
        error = _from_type(str(detail.get("type")), detail, reply)
        if error is not None:
            return error
    return None


def _from_type(kind: str, detail: Mapping[str, Any], reply: Reply) -> RemoteUpscaleError | None:
    said = in_their_words(detail.get("msg"))
    match kind:
        case "content_policy_violation":
            return ContentRejected(f"fal rejected the content{said}", hint="Use another picture.")
        case "image_too_small" | "image_too_large" | "file_too_large" | "image_load_error":
            return InvalidInput(f"fal does not take this picture{said}", hint="Change its size or format.")
        case "file_download_error":
            return HostingFailed(
                f"fal could not fetch the picture{said}",
                hint="Its link must be public; `remote-upscale check` looks at the hosting.",
            )
        case "one_of" | "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than" | "missing":
            where = ".".join(str(part) for part in as_list(detail.get("loc")))
            return InvalidParameter(
                f"fal refused {clean(where) or 'a parameter'}{said}",
                hint="Change it and run it again.",
                meaning=Meaning.REFUSED,
            )
        case "generation_timeout" | "request_timeout" | "startup_timeout":
            return TimedOut(f"fal ran out of time{said}", hint="Run it again.")
        case "client_cancelled" | "client_disconnected":
            return Cancelled(f"The job was cancelled at fal{said}", hint="Run it again if you want it.")
        case "downstream_service_error" | "downstream_service_unavailable" | "internal_server_error":
            return ProviderUnavailable(f"fal could not run the job{said}", hint=_again(reply))
        case _ if kind.startswith("runner_"):
            return ProviderUnavailable(f"fal could not run the job ({clean(kind)}){said}", hint=_again(reply))
        case _:
            return None


def _again(reply: Reply) -> str:
    hints = (reply.headers.get("x-fal-retryable", ""), reply.headers.get("x-fal-needs-retry", ""))
    if any(hint.lower() in ("false", "0") for hint in hints):
        return "fal says that running it again will not help; ask its support with the request id."
    return "Run it again later."


def _failed(detail: Mapping[str, Any]) -> RemoteUpscaleError:
    words = " ".join(clean(detail[name]) for name in ("type", "msg") if detail.get(name))
    return ProviderFailed(
        f"The job failed at fal: {words or 'no reason given'}",
        hint="Run it again, or ask fal's support with the request id.",
    )
