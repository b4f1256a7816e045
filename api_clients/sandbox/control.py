"""Looking at a sandbox in another process: what it has seen."""

from __future__ import annotations

from aiohttp import web

from .exchange import Record
from .jobs import Jobs
from .replies import Json

HEADER = "X-Remote-Upscale-Sandbox"
"""Marks every reply as the sandbox's; has to be sent to look at it, which a page in a browser cannot do."""

_SECRET_HEADERS = ("authorization", "ocp-apim-subscription-key")


class Control:
    """The addresses under ``/sandbox``."""

    def __init__(self, jobs: Jobs, record: Record) -> None:
        self._jobs, self._record = jobs, record

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Answer the addresses."""
        router.add_get("/sandbox/jobs", self._list_jobs)
        router.add_get("/sandbox/requests", self._list_requests)

    async def _list_jobs(self, request: web.Request) -> web.Response:
        _guard(request)
        return web.json_response([job.as_json() for job in self._jobs])

    async def _list_requests(self, request: web.Request) -> web.Response:
        _guard(request)
        entries: list[Json] = [
            {
                "method": entry.method,
                "path": entry.path,
                "headers": {k: "***" if k in _SECRET_HEADERS else v for k, v in entry.headers.items()},
                "body": None if entry.body is None else entry.body.decode("utf-8", "replace"),
                "length": entry.length,
                "status": entry.status,
            }
            for entry in self._record
        ]
        return web.json_response(entries)


def _guard(request: web.Request) -> None:
    if request.headers.get(HEADER) != "1":
        raise web.HTTPForbidden(text=f"Send the header {HEADER}: 1.")
