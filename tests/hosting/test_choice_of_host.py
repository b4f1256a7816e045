from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import HostingFailed, InvalidParameter
from remote_upscale.api_clients.hosting import Hosting, check_public_url, require_hosting
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.settings import Roots, Secret, Settings

FAL = {"fal": Secret("k")}


def configured(**changes: object) -> Settings:
    return Settings(home=Path("/nowhere"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        configured(bucket_url="s3://bucket/prefix"),
        configured(bucket_url="gs://bucket", hosting="object-store"),
        configured(bucket_url="s3://bucket", keys=FAL),
        configured(keys=FAL),
        configured(keys=FAL, hosting="fal"),
        configured(keys=FAL, hosting="fal", bucket_url="nonsense"),
        configured(keys=FAL, roots=Roots(fal_queue="https://queue.fal.run:443/some/path")),
        configured(keys=FAL, bucket_url="s3://bucket", roots=Roots(fal_queue="https://gateway.example/fal")),
        configured(
            keys=FAL,
            roots=Roots(fal_queue="https://gateway.example/fal", fal_rest="https://gateway.example/rest"),
        ),
    ],
)
def test_a_place_for_files_is_found(settings):
    require_hosting(settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (configured(), ("REMOTE_UPSCALE_BUCKET_URL", "FAL_KEY")),
        (configured(hosting="fal"), ("FAL_KEY",)),
        (configured(hosting="fal", bucket_url="s3://b"), ("FAL_KEY",)),
        *(
            (
                configured(keys=FAL, hosting=way, roots=Roots(fal_queue="https://gateway.example/fal")),
                ("REMOTE_UPSCALE_FAL_REST_URL", "REMOTE_UPSCALE_BUCKET_URL", "REMOTE_UPSCALE_FAL_QUEUE_URL"),
            )
            for way in ("auto", "fal")
        ),
        (configured(hosting="object-store", keys=FAL), ("REMOTE_UPSCALE_BUCKET_URL",)),
        (
            configured(hosting="url", keys=FAL, bucket_url="s3://b"),
            ("REMOTE_UPSCALE_HOSTING", "public https URL"),
        ),
        *(
            (configured(bucket_url=url), ("REMOTE_UPSCALE_BUCKET_URL", "s3://bucket/prefix"))
            for url in (
                "memory:///",
                "file:///tmp",
                "https://example.com/x",
                "nonsense",
                "s3://",
                "foo://x",
                "az://c",
            )
        ),
    ],
)
async def test_without_a_place_it_says_what_to_set(settings, named, make):
    with pytest.raises(HostingFailed) as caught:
        require_hosting(settings)
    for word in named:
        assert word in str(caught.value)
    assert caught.value.meaning.not_accepted
    assert not caught.value.meaning.retryable
    file = make()
    async with Http(settings) as http:
        with pytest.raises(HostingFailed) as again:
            await Hosting(settings, http).host(file.source, **file.args())
    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "https://bucket.s3.amazonaws.com/a?X-Amz-Signature=x"]
)
def test_a_public_address_is_an_input(url):
    check_public_url(url, Roots())


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "https://u:secret@example.com/a",
        "https://localhost/a",
        "https://10.0.0.1/a",
        "a.png",
        "",
    ],
)
def test_any_other_address_is_refused(url):
    with pytest.raises(InvalidParameter) as caught:
        check_public_url(url, Roots())
    assert "secret" not in str(caught.value)


def test_an_address_at_a_loopback_root_is_an_input():
    check_public_url("http://127.0.0.1:5/a.png", Roots(pixazo="http://127.0.0.1:5/pixazo"))
    with pytest.raises(InvalidParameter):
        check_public_url("http://127.0.0.1:6/a.png", Roots(pixazo="http://127.0.0.1:5/pixazo"))
