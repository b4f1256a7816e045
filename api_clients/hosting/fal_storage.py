"""Hosting in fal's storage: the link is public, but cannot be guessed and ends after a while."""

from __future__ import annotations

import json
import time

from ..errors import AuthenticationFailed, BadResponse, HostingFailed, Meaning, ProviderUnavailable, TimedOut
from ..http.client import Http
from ..http.guard import check_link
from ..http.progress import Progress
from ..http.retry import RetryBudget
from ..http_messages import Reply, Request
from ..providers.fal import Fal
from ..settings import Settings
from .fal_errors import Refused, as_hosting, check, text
from .fal_parts import LARGE, PartsUpload
from .fal_token import Token, Tokens
from .fal_unfinished import UnfinishedFile
from .hosted import AT_FAL, FOLDER, Hosted, Upload

_LIFE_BEYOND = 3600  # seconds a file lives beyond what is asked for, so that it can be used again meanwhile


class FalStorage:
    """Uploads to fal's storage.

    The key goes to ``Fal.rest_root`` only, to get a token; the token to ``Fal.cdn_root`` and to the base
    URL that came with it; an upload link gets neither.

    Args:
        settings: ``roots``, ``time`` and the key of ``fal`` are used.
        http: the client.
    """

    def __init__(self, settings: Settings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._roots = settings.roots.all()
        self._fal = settings.provider(Fal)
        self._tokens = Tokens(self._ask_token)

    async def host(self, upload: Upload, report: Progress) -> Hosted:
        """Upload a file.

        Raises:
            HostingFailed: fal's storage refuses it, or cannot be reached.
            AuthenticationFailed, InsufficientBalance, Forbidden: of the key and its account.
            InvalidInput: the file cannot be read or has changed.
        """
        life = upload.valid_for + _LIFE_BEYOND
        expires = time.time() + life
        about = _about(upload, life)
        try:
            try:
                url, expires = await self._by_token(upload, about, expires, report)
            except (Refused, BadResponse):
                url = await self._by_link(upload, about, report)
            check_link(url, self._roots)
        except (ProviderUnavailable, TimedOut, BadResponse) as error:
            raise as_hosting(error) from None
        return Hosted(url, expires, AT_FAL)

    async def works(self, hosted: Hosted) -> bool:
        """Whether a link that was given earlier still leads to the file; in doubt it does."""
        root = hosted.url.rpartition("/")[0]
        try:
            reply = await self._http.call(Request("HEAD", hosted.url), root=root, auth={})
        except (ProviderUnavailable, TimedOut):
            return True
        except BadResponse:
            return False
        return reply.status not in (400, 401, 403, 404, 410)

    async def _by_token(
        self, upload: Upload, about: dict[str, str], expires: float, report: Progress
    ) -> tuple[str, float]:
        """The link, and the Unix time until which it works."""
        if upload.source.size > LARGE:
            kept = UnfinishedFile(
                self._settings.home / FOLDER, upload.content_at(self._settings.roots.fal_rest)
            )
            parts = PartsUpload(upload, self._tokens, self._settings, self._http, kept=kept, report=report)
            return await parts.run(about, expires)
        budget = RetryBudget(self._settings.time)
        async for attempt in budget:
            token = await self._tokens.get()
            with attempt:
                reply = await self._http.upload(
                    "POST",
                    f"{self._fal.cdn_root}/files/upload",
                    headers={**token.header, **about},
                    source=upload.source,
                    progress=report,
                    budget=budget,
                )
                return text(check(reply), "access_url"), expires
        raise AssertionError("a retried block ends by returning or raising")

    async def _by_link(self, upload: Upload, about: dict[str, str], report: Progress) -> str:
        """The other way: fal names a link to upload to, and the one that the file will have."""
        named = await self._with_key(
            "/storage/upload/initiate?storage_type=gcs",
            {"file_name": upload.name, "content_type": upload.media_type},
            {name: value for name, value in about.items() if name.startswith("X-Fal-Object-")},
        )
        upload_url, file_url = text(named, "upload_url"), text(named, "file_url")
        headers = {"Content-Type": upload.media_type}
        budget = RetryBudget(self._settings.time)
        async for attempt in budget:
            with attempt:
                reply = await self._http.upload(
                    "PUT", upload_url, headers=headers, source=upload.source, progress=report, budget=budget
                )
                check(reply)
        return file_url

    async def _ask_token(self) -> Token:
        reply = await self._with_key("/storage/auth/token?storage_type=fal-cdn-v3", {}, {})
        return Token.read(reply, self._roots)

    async def _with_key(self, path: str, document: dict[str, str], headers: dict[str, str]) -> Reply:
        root, key = self._fal.rest_root, self._settings.keys.get("fal")
        if key is None:
            raise AuthenticationFailed(
                "There is no key for fal's storage.", hint="Set FAL_KEY.", meaning=Meaning.NOT_SENT
            )
        if root is None:
            raise HostingFailed(
                "The key is for the gateway at REMOTE_UPSCALE_FAL_QUEUE_URL; fal's storage does not get it.",
                hint="Set REMOTE_UPSCALE_FAL_REST_URL, too, or host the input in an object store.",
            )
        auth = self._fal.authorise(key.reveal())
        request = Request.post_json(f"{root}{path}", document, {"Accept": "application/json", **headers})
        async for attempt in RetryBudget(self._settings.time):
            with attempt:
                return check(await self._http.call(request, root=root, auth=auth))
        raise AssertionError("a retried block ends by returning or raising")


def _about(upload: Upload, life: float) -> dict[str, str]:
    # The upload root reads the shorter header, the storage behind the upload links the longer one.
    lifecycle = json.dumps({"expiration_duration_seconds": int(life)})
    return {
        "Content-Type": upload.media_type,
        "X-Fal-File-Name": upload.name,
        "X-Fal-Object-Lifecycle": lifecycle,
        "X-Fal-Object-Lifecycle-Preference": lifecycle,
    }
