"""fal's error bodies: a list of details from the model, one sentence from the infrastructure."""

from __future__ import annotations

from ..parameters import Choice, Flag, Integer, Number, either
from .checks import Flaw
from .problems import Problem
from .replies import Json, Reply, as_json

INFRASTRUCTURE = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_cancelled": 499,
    "internal_error": 500,
}
"""Error types that are not the model's, with the HTTP status of the result request."""

_MODEL_STATUS = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
}
_RETRYABLE = ("internal_server_error", "generation_timeout", *INFRASTRUCTURE)

_MESSAGES = {
    400: "Bad request",
    401: "Authentication is required to access this application.",
    403: "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    404: "Request not found",
    429: "Too many requests",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}
_TYPE_MESSAGES = {
    "content_policy_violation": "The content was flagged by a content checker and could not be processed.",
    "image_too_small": "Image dimensions are too small.",
    "image_too_large": "Image dimensions are too large.",
    "image_load_error": "Failed to load the image. Please ensure the image file is not corrupted.",
    "file_download_error": "Failed to download the file. Please check if the URL is accessible.",
    "file_too_large": "File size exceeds the maximum allowed size.",
    "generation_timeout": "Generation timeout",
    "downstream_service_error": "Downstream service error",
    "downstream_service_unavailable": "Downstream service unavailable",
    "internal_server_error": "Internal server error",
}
PROBLEM_TYPES = {
    Problem.DOWNLOAD: "file_download_error",
    Problem.FORMAT: "image_load_error",
    Problem.DAMAGED: "image_load_error",
    Problem.BYTES: "file_too_large",
    Problem.PIXELS: "image_too_large",
    Problem.INTERNAL: "internal_server_error",
}
"""The error type of each unusable input."""


def message_of(error_type: str) -> str:
    """What a type says where nothing more exact is known."""
    return _TYPE_MESSAGES.get(error_type, error_type.replace("_", " ").capitalize())


def error(status: int, message: str | None = None, error_type: str | None = None) -> Reply:
    """An error: in the model's shape where its type is the model's, else in the other."""
    if error_type and error_type not in INFRASTRUCTURE:
        return details([detail(error_type, message or message_of(error_type))], status=status)
    return plain(message or _MESSAGES.get(status, "Error"), status=status, error_type=error_type)


def plain(message: str, *, status: int, error_type: str | None = None) -> Reply:
    """The infrastructure's shape."""
    body: Json = {"detail": message}
    headers: dict[str, str] = {}
    if error_type:
        body["error_type"] = error_type
        headers = {"X-Fal-Error-Type": error_type, "X-Fal-Retryable": _yes_no(error_type in _RETRYABLE)}
    return as_json(body, status=status, headers=headers)


def failed_result(error_type: str, message: str, media_field: str, address: str) -> Reply:
    """The answer to a request for the result of a failed job."""
    if error_type in INFRASTRUCTURE:
        return plain(message, status=INFRASTRUCTURE[error_type], error_type=error_type)
    item = detail(error_type, message, location=media_field, value=address)
    return details([item], status=_MODEL_STATUS.get(error_type, 422))


def details(items: list[Json], *, status: int = 422) -> Reply:
    """The model's shape."""
    retryable = any(item["type"] in _RETRYABLE for item in items)
    return as_json({"detail": items}, status=status, headers={"X-Fal-Retryable": _yes_no(retryable)})


def detail(
    error_type: str, message: str, *, location: str = "", value: object = None, context: Json | None = None
) -> Json:
    """One entry of the model's list."""
    item: Json = {
        "loc": ["body", location] if location else ["body"],
        "msg": message,
        "type": error_type,
        "url": f"https://docs.fal.ai/errors/#{error_type}",
    }
    if context:
        item["ctx"] = context
    return {**item, "input": value}


def describe(flaw: Flaw) -> Json:
    """The entry for a parameter that is not as declared."""
    name, value = flaw.parameter.name, flaw.value
    if value is None:
        return missing(name)
    error_type, message, context = _judge(flaw)
    return detail(error_type, message, location=name, value=value, context=context)


def missing(name: str) -> Json:
    """The entry for a field that has to be there."""
    return detail("missing", "Field required", location=name)


def _judge(flaw: Flaw) -> tuple[str, str, Json | None]:
    match flaw.parameter:
        case Choice() as choice:
            words = [f"'{word}'" for word in choice.choices]
            return "one_of", f"Input should be {either(words)}", {"expected": list(choice.choices)}
        case Number() as number:
            return _judge_number(flaw.value, "number", number.minimum, number.maximum, number.step)
        case Integer() as integer:
            return _judge_number(flaw.value, "integer", integer.minimum, integer.maximum, 1)
        case Flag():
            return "bool_type", "Input should be a valid boolean", None
        case other:
            return "value_error", f"Input should be {other.allowed}", None


def _judge_number(
    value: object, word: str, minimum: float, maximum: float, step: float | None
) -> tuple[str, str, Json | None]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        name = "float" if word == "number" else "int"
        return f"{name}_type", f"Input should be a valid {word}", None
    if value < minimum:
        return "greater_than_equal", f"Input should be greater than or equal to {minimum:g}", {"ge": minimum}
    if value > maximum:
        return "less_than_equal", f"Input should be less than or equal to {maximum:g}", {"le": maximum}
    if word == "integer":
        return "int_type", "Input should be a valid integer", None
    return "multiple_of", f"Input should be a multiple of {step}", {"multiple_of": step}


def _yes_no(value: bool) -> str:
    return "true" if value else "false"
