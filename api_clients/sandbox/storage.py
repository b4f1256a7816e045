"""fal's file storage: tokens, single and multipart uploads, signed uploads, and the public files."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from . import fal_errors
from .context import Context
from .exchange import Call, Handler, Route, Stage
from .fal_access import locked_out
from .replies import Reply, as_json, read_object
from .spool import TooLong, Written, spool

MOST_BYTES = 20 * 1024**3
"""Of one upload."""

_MOST_TOKENS = 1000
_TOKEN_LIFE = timedelta(hours=1)
_DEFAULT_LIFE = timedelta(days=1)


@dataclass(eq=False, kw_only=True)
class Stored:
    """A file that was or is being uploaded.

    Attributes:
        signature: what an upload to a signed address has to show; empty for the other ways.
        parts: of a multipart upload, by number.
    """

    path: Path
    name: str
    content_type: str
    expires: datetime
    signature: str = ""
    upload_id: str = ""
    complete: bool = False
    parts: dict[int, Written] = field(default_factory=dict[int, Written])


class Storage:
    """Takes uploads and serves them to whoever knows the link."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folder = context.folder / "uploads"
        self._folder.mkdir()
        self._files: dict[str, Stored] = {}
        self._tokens: OrderedDict[str, datetime] = OrderedDict()

    def routes(self) -> list[Route]:
        """The addresses that it answers."""
        part = "/fal/cdn/files/b/{id}/{name}/multipart/{upload}"
        return [
            _route("POST", "/fal/rest/storage/auth/token", Stage.TOKEN, self._token),
            _route("POST", "/fal/rest/storage/upload/initiate", Stage.INITIATE, self._initiate),
            _route("POST", "/fal/cdn/files/upload", Stage.UPLOAD, self._upload, streams=True),
            _route("POST", "/fal/cdn/files/upload/multipart", Stage.UPLOAD, self._begin),
            _route("PUT", part + "/{number}", Stage.UPLOAD, self._part, streams=True),
            _route("POST", part + "/complete", Stage.UPLOAD, self._complete),
            _route("PUT", "/fal/cdn/signed/{id}/{name}", Stage.UPLOAD, self._signed, streams=True),
        ]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A public file; gone once its time is over."""
        file = self._files.get(request.match_info["id"])
        if file is None or not file.complete or file.expires < datetime.now(UTC):
            raise web.HTTPNotFound
        return web.FileResponse(file.path, headers={"Content-Type": file.content_type})

    async def _token(self, call: Call) -> Reply:
        locked = locked_out(self._context, call.request)
        if locked:
            return locked
        token, expires = secrets.token_urlsafe(32), datetime.now(UTC) + _TOKEN_LIFE
        self._tokens[token] = expires
        while len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return as_json(
            {
                "token": token,
                "token_type": "Bearer",
                "base_url": self._context.roots.fal_cdn,
                "expires_at": expires.isoformat(),
            }
        )

    def _unauthorized(self, request: web.Request) -> Reply | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        expires = self._tokens.get(token)
        if scheme == "Bearer" and expires is not None and expires > datetime.now(UTC):
            return None
        return fal_errors.plain("Invalid or expired token", status=401)

    async def _upload(self, call: Call) -> Reply:
        file = self._new_by_token(call.request)
        if isinstance(file, Reply):
            return file
        reply = await self._receive(call, file, file.path)
        if isinstance(reply, Reply):
            return reply
        file.complete = True
        return as_json({"access_url": self._link(file)})

    async def _begin(self, call: Call) -> Reply:
        file = self._new_by_token(call.request)
        if isinstance(file, Reply):
            return file
        file.upload_id = secrets.token_urlsafe(16)
        return as_json({"access_url": self._link(file), "uploadId": file.upload_id})

    async def _part(self, call: Call) -> Reply:
        refusal = self._unauthorized(call.request)
        if refusal:
            return refusal
        info = call.request.match_info
        file = self._multipart(call)
        if isinstance(file, Reply):
            return file
        if not re.fullmatch(r"[1-9]\d{0,4}", info["number"]):
            return fal_errors.plain("Part numbers start at 1", status=400)
        number = int(info["number"])
        # A part that is sent again replaces the first one, but only when it is there as a whole.
        again = file.path.with_name(f"{file.path.name}.{number}.{secrets.token_hex(4)}")
        written = await self._receive(call, file, again)
        if isinstance(written, Reply):
            return written
        again.replace(_part_path(file, number))
        file.parts[number] = written
        return Reply(headers={"ETag": f'"{written.md5}"'})

    async def _complete(self, call: Call) -> Reply:
        refusal = self._unauthorized(call.request)
        if refusal:
            return refusal
        file = self._multipart(call)
        if isinstance(file, Reply):
            return file
        numbers = _agreed_parts(file, call.body)
        if numbers is None:
            return fal_errors.plain("The parts do not match what was uploaded", status=400)
        await asyncio.to_thread(_join, file, numbers)
        file.parts.clear()
        file.complete = True
        return as_json({"access_url": self._link(file)})

    async def _initiate(self, call: Call) -> Reply:
        locked = locked_out(self._context, call.request)
        if locked:
            return locked
        body = read_object(call.body) or {}
        name, content_type = body.get("file_name"), body.get("content_type")
        if not isinstance(name, str) or not isinstance(content_type, str):
            return fal_errors.details([fal_errors.missing("content_type" if name else "file_name")])
        file = self._new(call.request, content_type, name=name)
        if isinstance(file, Reply):
            return file
        file.signature = secrets.token_urlsafe(32)
        base = f"{self._context.roots.fal_cdn}/signed/{file.path.name}/{file.name}"
        return as_json({"upload_url": f"{base}?signature={file.signature}", "file_url": self._link(file)})

    async def _signed(self, call: Call) -> Reply:
        file = self._files.get(call.request.match_info["id"])
        if file is None or not file.signature or call.request.query.get("signature") != file.signature:
            return fal_errors.plain("The signature does not match", status=403)
        if call.request.content_type != file.content_type:
            return fal_errors.plain("The content type is not the one that was signed", status=403)
        again = file.path.with_name(f"{file.path.name}.{secrets.token_hex(4)}")
        written = await self._receive(call, file, again)
        if isinstance(written, Reply):
            return written
        again.replace(file.path)
        file.complete = True
        return Reply()

    def _multipart(self, call: Call) -> Stored | Reply:
        file = self._files.get(call.request.match_info["id"])
        if file is None or file.complete or file.upload_id != call.request.match_info["upload"]:
            return fal_errors.plain("Upload not found", status=404)
        return file

    async def _receive(self, call: Call, file: Stored, path: Path) -> Written | Reply:
        try:
            written = await spool(call.request.content.iter_chunked(1 << 20), path, limit=MOST_BYTES)
        except TooLong:
            return fal_errors.plain("The file is too large", status=413)
        call.recorded.length = written.size
        return written

    def _new_by_token(self, request: web.Request) -> Stored | Reply:
        return self._unauthorized(request) or self._new(request, request.content_type)

    def _new(self, request: web.Request, content_type: str, *, name: str | None = None) -> Stored | Reply:
        life = _lifetime(request)
        if life is None:
            return fal_errors.plain("The object lifecycle is not valid", status=400)
        self._sweep()
        key = secrets.token_hex(16)
        shown = name or request.headers.get("X-Fal-File-Name") or "upload.bin"
        file = Stored(
            path=self._folder / key,
            name=re.sub(r"[^\w.-]", "_", shown, flags=re.ASCII)[-100:],
            content_type=content_type,
            expires=datetime.now(UTC) + life,
        )
        self._files[key] = file
        return file

    def _sweep(self) -> None:
        now = datetime.now(UTC)
        for key in [key for key, file in self._files.items() if file.expires < now]:
            file = self._files.pop(key)
            for path in (file.path, *(_part_path(file, number) for number in file.parts)):
                path.unlink(missing_ok=True)

    def _link(self, file: Stored) -> str:
        return f"{self._context.roots.fal_cdn}/files/b/{file.path.name}/{file.name}"


def _route(method: str, path: str, stage: Stage, handler: Handler, *, streams: bool = False) -> Route:
    return Route(
        method=method,
        path=path,
        stage=stage,
        provider="fal",
        handler=handler,
        streams=streams,
    )


def _lifetime(request: web.Request) -> timedelta | None:
    """How long a file is kept; ``None`` for a header that cannot be read."""
    header = request.headers.get("X-Fal-Object-Lifecycle") or request.headers.get(
        "X-Fal-Object-Lifecycle-Preference"
    )
    if header is None:
        return _DEFAULT_LIFE
    seconds = (read_object(header.encode()) or {}).get("expiration_duration_seconds", 86400)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e9:
        return None
    return min(timedelta(seconds=seconds), _DEFAULT_LIFE)


def _agreed_parts(file: Stored, body: bytes) -> list[int] | None:
    """The parts' numbers in order, if the client names what was uploaded, with the right ETags."""
    try:
        listed = {int(part["partNumber"]): str(part["etag"]) for part in json.loads(body)["parts"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    wanted = {number: written.md5 for number, written in file.parts.items()}
    if not listed or {number: etag.strip('"') for number, etag in listed.items()} != wanted:
        return None
    return sorted(listed)


def _part_path(file: Stored, number: int) -> Path:
    return file.path.with_name(f"{file.path.name}.{number}")


def _join(file: Stored, numbers: list[int]) -> None:
    with file.path.open("wb") as whole:
        for number in numbers:
            path = _part_path(file, number)
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
            path.unlink()
