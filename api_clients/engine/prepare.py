"""From a job to all that is known of it before anything is sent. Nothing is sent here."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from ..errors import InvalidInput
from ..files.pixel_digest import content_digest
from ..files.probe import ImageInfo, VideoInfo, check_input, probe
from ..files.spliced_file import SplicedFile
from ..files.strip import without_metadata
from ..hosting import check_public_url
from ..ledger import Intent
from ..models import Model
from ..parameters import Value
from ..settings import Settings
from ..sizes import Expected
from .job import Job, ResultSpec
from .services import Services


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job comes to.

    Attributes:
        job: what was asked for.
        values: the parameters as they will be sent.
        input: what the file is; ``None`` for a URL, which is not looked at.
        expected: the result's size, where the input's is known.
        cost: US dollars, ``None`` when unknown.
        notes: what was adapted, in sentences.
    """

    job: Job
    values: Mapping[str, Value]
    input: ImageInfo | VideoInfo | None
    expected: Expected | None
    cost: Decimal | None
    notes: tuple[str, ...]

    @property
    def pixels(self) -> int | None:
        """How many the result has, over all frames; ``None`` where that is not known."""
        if self.expected is None or self.input is None:
            return None
        frames = 1 if isinstance(self.input, ImageInfo) else self.input.frames
        return frames and frames * self.expected.width * self.expected.height


@dataclass(frozen=True, kw_only=True)
class PreparedJob(Estimate):
    """A job that can be sent.

    Attributes:
        upload: what will be uploaded, the input without its metadata; ``None`` where it is a URL.
        upload_digest: SHA-256 of that, or of the URL.
        content_digest: digest of what it shows.
        identity: digest of all that the result depends on.
        account: stands for the provider's key and address, and tells neither.
    """

    upload: SplicedFile | None
    upload_digest: str
    content_digest: str
    identity: str
    account: str

    @property
    def spec(self) -> ResultSpec:
        """What the result has to be."""
        return ResultSpec(self.job.model.media, self.expected, self.job.destination)

    def intent(self, *, sandbox: bool) -> Intent:
        """What the ledger records before anything is sent."""
        job = self.job
        return Intent(
            model=job.model.id,
            digest=self.content_digest,
            identity=self.identity,
            parameters=self.values,
            source=job.source if isinstance(job.source, str) else str(job.source.absolute()),
            destination=None if job.destination is None else str(job.destination.absolute()),
            sandbox=sandbox,
            cost=self.cost,
            account=self.account,
            pixels=self.pixels,
        )


async def estimate(job: Job, settings: Settings) -> Estimate:
    """Check a job's parameters and its input, and say what it comes to.

    Raises:
        InvalidParameter: a parameter, or the address of the input, cannot be used.
        InvalidInput: the file cannot.
    """
    checked = job.model.check(job.parameters)
    info = expected = None
    if isinstance(job.source, str):
        check_public_url(job.source, settings.roots)
    else:
        info = await asyncio.to_thread(probe, job.source)
        check_input(info, job.model)
        expected = job.model.sizing.expect(checked.values, info.size)
        _check_fits(expected, settings)
    price = settings.prices.get(job.model.id, job.model.price)
    return Estimate(
        job=job,
        values=checked.values,
        input=info,
        expected=expected,
        cost=price.estimate(checked.values, expected.size if expected else None),
        notes=checked.notes,
    )


async def prepare(job: Job, services: Services) -> PreparedJob:
    """Check a job and learn all that is needed to send it; raises as ``estimate`` does."""
    found = await estimate(job, services.settings)
    upload = None
    if isinstance(job.source, str) or found.input is None:
        file = content = hashlib.sha256(str(job.source).encode()).hexdigest()
    else:
        upload = await asyncio.to_thread(without_metadata, job.source, found.input.format)
        file = await asyncio.to_thread(upload.sha256)
        content = job.content or file
        if job.content is None and isinstance(found.input, ImageInfo):
            content = await _content(upload, found.input.format, file, services)
    client = services.client(job.model)
    sandbox = services.settings.sandbox
    if upload is not None:
        found = replace(found, notes=(*found.notes, *upload.notes))
    return PreparedJob(
        **vars(found),
        upload=upload,
        upload_digest=file,
        content_digest=content,
        identity=identity(job.model, content, found.values, "sandbox" if sandbox else client.provider.root),
        account=client.account,
    )


def identity(model: Model, content: str, values: Mapping[str, Value], answered_by: str) -> str:
    """The digest of all that a result depends on, in hexadecimal.

    Args:
        model: the upscaler.
        content: digest of what the input shows.
        values: the checked parameters.
        answered_by: the provider's root, so that a sandbox's result is never taken for a real one.
    """
    affecting = {p.name: values[p.name] for p in model.parameters if p.affects_result and p.name in values}
    same = json.dumps([model.id, content, affecting, answered_by], sort_keys=True)
    return hashlib.sha256(same.encode()).hexdigest()


async def _content(upload: SplicedFile, format_: str, file: str, services: Services) -> str:
    """The digest of what a picture shows; each file is decoded only once in the ledger's life."""
    stored = services.ledger.sync.stored
    known = await services.ledger.call(stored.content, file)
    if known is not None:
        return known
    most = int(services.settings.size.pixels)
    content = await asyncio.to_thread(content_digest, upload, format_, max_pixels=most)
    if content != file:
        await services.ledger.call(stored.remember_content, file, content)
    return content


def _check_fits(expected: Expected, settings: Settings) -> None:
    limit = int(settings.size.pixels)
    if expected.width * expected.height > limit:
        raise InvalidInput(
            f"The result would have {expected.width}×{expected.height} pixels; the limit is {limit:,}.",
            hint="Ask for a smaller one, or raise pixels under [size] in settings.toml.",
        )
