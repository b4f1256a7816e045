"""Steering a sandbox in another process: faults, and what it has seen."""

from __future__ import annotations

import json

from aiohttp import web

from .exchange import Record
from .faults import Fault, Faults
from .jobs import Jobs
from .replies import Json

HEADER = "X-Remote-Upscale-Sandbox"
"""Marks every reply as the sandbox's; has to be sent to steer it, which a page in a browser cannot do."""

_SECRET_HEADERS = ("authorization", "ocp-apim-subscription-key")


class Control:
    """The addresses under ``/sandbox``."""

    def __init__(self, jobs: Jobs, faults: Faults, record: Record) -> None:
        self._jobs, self._faults, self._record = jobs, faults, record

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Answer the addresses."""
        router.add_get("/sandbox/faults", self._list)
        router.add_post("/sandbox/faults", self._add)
        router.add_delete("/sandbox/faults", self._clear)
        router.add_get("/sandbox/jobs", self._list_jobs)
        router.add_get("/sandbox/requests", self._list_requests)

    async def _list(self, request: web.Request) -> web.Response:
        _guard(request)
        return self._rules()

    async def _add(self, request: web.Request) -> web.Response:
        _guard(request)
        try:
            given: object = json.loads(await request.read())
            rules = given if isinstance(given, list) else [given]  # pyright: ignore[reportUnknownVariableType]
            self._faults.extend([Fault.from_json(rule) for rule in rules])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        except (ValueError, RecursionError) as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        return self._rules()

    async def _clear(self, request: web.Request) -> web.Response:
        _guard(request)
        self._faults.clear()
        return self._rules()

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

    def _rules(self) -> web.Response:
        return web.json_response([rule.as_json() for rule in self._faults.rules])


def _guard(request: web.Request) -> None:
    if request.headers.get(HEADER) != "1":
        raise web.HTTPForbidden(text=f"Send the header {HEADER}: 1.")
