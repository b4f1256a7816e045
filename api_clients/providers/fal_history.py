"""fal's list of the requests made with a key, which its platform API gives.

https://fal.ai/docs/platform-apis/v1/models/requests/by-endpoint says no word on how soon a request is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ..errors import BadResponse
from ..http_messages import Request
from ..json_values import as_list, as_object, as_text
from ..models import Model
from ..parameters import Value
from .base import read_request_id

_PAGE_SIZE = 100


def request(root: str, model: Model, since: datetime, until: datetime, page: str | None) -> Request:
    """The request for one page of the list, with what was submitted."""
    query = {
        "endpoint_id": model.endpoint.strip("/"),
        "start": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "expand": "payloads",
        "limit": str(_PAGE_SIZE),
    }
    if page is not None:
        query["cursor"] = page
    return Request("GET", f"{root}/models/requests/by-endpoint?{urlencode(query)}")


def read(
    model: Model, body: Mapping[str, Any], values: Mapping[str, Value], is_input: Callable[[str], bool]
) -> tuple[list[str], str | None]:
    """The ids of the requests on a page that were made with this input and these parameters; the next page.

    fal may add defaults to what it recorded, and leave out what is null.
    """
    sent = {
        parameter.name: values[parameter.name]
        for parameter in model.parameters
        if parameter.affects_result and parameter.name in values
    }
    ids: list[str] = []
    for entry in map(as_object, as_list(body.get("items"))):
        recorded = as_object(entry.get("json_input"))
        same = all(recorded.get(name) == _as_json(value) for name, value in sent.items())
        if same and is_input(as_text(recorded.get(model.media_field)) or ""):
            try:
                ids.append(read_request_id(entry.get("request_id")))
            except BadResponse:
                continue
    return ids, as_text(body.get("next_cursor")) if body.get("has_more") else None


def _as_json(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else value
