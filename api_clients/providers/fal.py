"""fal's queue: submit, status, result and cancel, each under its own URL.

The pages: https://fal.ai/docs/documentation/model-apis/inference/queue and …/reliability, …/errors beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
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
from ..models import Model
from ..parameters import Flag, Value
from ..roots import Root
from ..text import clean, in_their_words
from ..urls import origin, split
from . import fal_history, fal_models
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


class Fal(Provider):
    """Beside the queue fal has a storage, which takes tokens that are had for the key, and a platform API."""

    name = "fal"
    title = "fal"
    key_variable = "FAL_KEY"
    roots = (
        Root("fal_queue", "REMOTE_UPSCALE_FAL_QUEUE_URL", "https://queue.fal.run"),
        Root("fal_rest", "REMOTE_UPSCALE_FAL_REST_URL", "https://rest.fal.ai"),
        Root("fal_cdn", "REMOTE_UPSCALE_FAL_CDN_URL", "https://v3.fal.media"),
        Root("fal_api", "REMOTE_UPSCALE_FAL_API_URL", "https://api.fal.ai/v1"),
    )
    models = fal_models.MODELS
    options = (
        Flag(
            name="allow_fallbacks",
            help="Let fal run another model, at that one's price, where the chosen one is not available.",
            default=False,
        ),
    )
    top_up = "https://fal.ai/dashboard/billing"
    cancels = True

    @property
    def rest_root(self) -> str | None:
        """Where the storage's tokens are had for the key; ``None`` where the key may not be sent there."""
        return self._for_the_same_key("fal_rest")

    @property
    def cdn_root(self) -> str:
        """Where files are uploaded, with a token."""
        return self.root_of("fal_cdn")

    def _for_the_same_key(self, name: str) -> str | None:
        """A root that takes the queue's key, or ``None``.

        With a gateway as the queue's root the key is the gateway's: it goes to fal's own addresses only
        where they were set, too.
        """
        own = origin(self.root) == origin(self.own("fal_queue"))
        return self.root_of(name) if own else self.given.get(name)

    def authorise(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Key {key}"}

    def handle(self, model: Model, request_id: str) -> Handle:
        # Follow-up URLs carry only the owner and the app, not the rest of the endpoint.
        owner, app = model.endpoint.strip("/").split("/")[:2]
        base = f"{self.root}/{owner}/{app}/requests/{in_path(request_id)}"
        return Handle(self.name, model.id, request_id, f"{base}/status", base, f"{base}/cancel")

    def submit(self, model: Model, values: Mapping[str, Value], media_url: str) -> Request:
        # Else fal may run "equivalent alternative endpoints", which are other models at other prices.
        headers = {} if self._options["allow_fallbacks"] else {"x-fal-disable-fallbacks": "1"}
        body = self.document(model, values, media_url)
        return Request.post_json(f"{self.root}{model.endpoint}", body, headers)

    def is_provider_reply(self, reply: Reply) -> bool:
        """``{"detail": [{"loc", "msg", "type"}…]}`` of a model, or ``{"detail": "…", "error_type": "…"}``.

        The queue leaves out ``error_type`` for keys, balances and what it does not know; such a sentence is
        its own unless it is a bare reason phrase, as web frameworks answer for addresses they do not have.
        """
        body = reply.object_or_empty()
        detail = body.get("detail")
        if as_list(detail):
            return all(as_text(as_object(item).get("msg")) for item in as_list(detail)) and any(
                as_text(as_object(item).get("type")) for item in as_list(detail)
            )
        if as_text(body.get("error_type")):
            return as_text(detail) is not None or as_text(body.get("error")) is not None
        words = as_text(detail)
        return words is not None and body.keys() == {"detail"} and words.lower().strip(".") not in _BARE

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
                if not (as_text(body.get("request_id")) or as_text(body.get("error_type"))):
                    raise BadResponse(
                        "The answer tells of an error, but not of which job at fal.", meaning=Meaning.UNKNOWN
                    )
                detail = {"msg": body.get("error"), "type": body.get("error_type")}
                return Failed(_typed_error([detail], reply) or _failed(detail))
            case "COMPLETED":
                return Done(None)
            case _:
                return Running(note=word or "no status")

    def notes(self, handle: Handle, reply: Reply) -> tuple[str, ...]:
        # No page says how a fallback shows: whatever names another app than the job's is taken for one.
        links = [reply.object_or_empty().get(name) for name in ("response_url", "status_url", "cancel_url")]
        named = [_app_of_link(link) for link in links] + [
            "/".join(value.strip("/").split("/")[:2])
            for name, value in reply.headers.items()
            if name.startswith("x-fal-") and "endpoint" in name
        ]
        ours = _app_of_link(handle.status_url)
        other = next((app for app in named if app and "/" in app and app != ours), None)
        return (
            (f"fal served this by a fallback, {clean(other, 100)}, at the price of that.",) if other else ()
        )

    @property
    def history_root(self) -> str | None:
        return self._for_the_same_key("fal_api")

    def find(self, model: Model, since: datetime, until: datetime, page: str | None = None) -> Request | None:
        root = self.history_root
        return fal_history.request(root, model, since, until, page) if root else None

    def read_found(
        self, model: Model, reply: Reply, values: Mapping[str, Value], is_input: Callable[[str], bool]
    ) -> Found:
        self.raise_error(reply)
        ids, page = fal_history.read(model, reply.object(), values, is_input)
        return Found(tuple(self.handle(model, request_id) for request_id in ids), page)

    def result(self, handle: Handle) -> Request:
        return Request("GET", handle.result_url or handle.status_url.removesuffix("/status"))

    def read_result(self, reply: Reply) -> State:
        details = _details(reply)
        if reply.status == 400 and any("still in progress" in str(detail.get("msg")) for detail in details):
            return Running()
        typed = any(detail.get("type") for detail in details)
        if reply.status >= 400 and typed and self.is_provider_reply(reply):
            return Failed(_typed_error(details, reply) or _failed(details[0]))
        self.raise_error(reply)
        image = as_object(reply.object().get("image"))
        link = as_text(image.get("url"))
        if link is None:
            raise BadResponse(
                "fal says that the job is done but its result has no image.", meaning=Meaning.UNKNOWN
            )
        return Done(Output(link, as_text(image.get("content_type"))))


_BARE = frozenset({"not found", "method not allowed", "unauthorized", "not authenticated", "forbidden"})
"""What web frameworks say by themselves in the same form."""


def _app_of_link(link: object) -> str | None:
    """Owner and app: the two parts before ``requests`` in the path of a job's address."""
    found = split(link) if isinstance(link, str) else None
    parts = found.path.split("/") if found else []
    at = parts.index("requests") if "requests" in parts else 0
    return "/".join(parts[at - 2 : at]) if at > 2 else None


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
