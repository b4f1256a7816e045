"""Settings: the environment, the file, and what is refused."""

from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.settings import Roots, Settings


def test_defaults(tmp_path):
    settings = Settings.load({}, home=tmp_path)
    assert settings.home == tmp_path
    assert settings.roots == Roots()
    assert not settings.keys
    assert not settings.sandbox
    assert settings.hosting == "auto"


def test_everything_from_the_environment(tmp_path):
    settings = Settings.load(
        {
            "PIXAZO_API_KEY": " key-one ",
            "FAL_KEY": "",
            "REMOTE_UPSCALE_HOME": str(tmp_path / "home"),
            "REMOTE_UPSCALE_PIXAZO_URL": "http://127.0.0.1:8000/pixazo/",
            "REMOTE_UPSCALE_HOSTING": "object-store",
            "REMOTE_UPSCALE_BUCKET_URL": "s3://bucket/prefix",
            "REMOTE_UPSCALE_SANDBOX": "1",
        }
    )
    assert settings.home == tmp_path / "home"
    assert settings.keys["pixazo"].reveal() == "key-one"
    assert "fal" not in settings.keys
    assert settings.roots.pixazo == "http://127.0.0.1:8000/pixazo"
    assert settings.bucket_url == "s3://bucket/prefix"
    assert settings.sandbox


def test_keys_do_not_show():
    settings = Settings.load({"FAL_KEY": "distinctive-key"}, home=Path("/nowhere"))
    assert "distinctive-key" not in repr(settings)
    assert "distinctive-key" not in f"{settings.keys['fal']}"


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.pixazo.ai",
        "ftp://host",
        "gateway.pixazo.ai",
        "https://",
        "https://u:p@host",
        "https://host:port/",
        "https://host/?a=b",
        "http://10.0.0.1",
    ],
)
def test_roots_are_https(url):
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_FAL_QUEUE_URL"):
        Settings.load({"REMOTE_UPSCALE_FAL_QUEUE_URL": url}, home=Path("/nowhere"))


def test_unknown_hosting():
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_HOSTING is ftp"):
        Settings.load({"REMOTE_UPSCALE_HOSTING": "ftp"}, home=Path("/nowhere"))


def test_settings_file(tmp_path):
    (tmp_path / "settings.toml").write_text("at_once = 4\n[time]\nrun = 60\n[size]\npixels = 1000\n")
    settings = Settings.load({}, home=tmp_path)
    assert (settings.at_once, settings.time.run, settings.size.pixels) == (4, 60, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "surprise = 1",
        "[time]\nruns = 1",
        "[time]\nrun = 0",
        "at_once = 0",
        "time = 3",
        "[size]\npixels = true",
        "[time]\nrun = inf",
        "[size]\npixels = nan",
        "at_once = true",
        '[time]\nrun = "a"',
    ],
)
def test_unusable_settings_file(tmp_path, text):
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(InvalidParameter, match=r"settings\.toml"):
        Settings.load({}, home=tmp_path)
