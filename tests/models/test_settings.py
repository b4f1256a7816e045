"""Settings: the environment, the file, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from remote_upscale.api_clients import redaction
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.providers.base import Provider
from remote_upscale.api_clients.providers.fal import Fal
from remote_upscale.api_clients.registry import PROVIDERS, ROOTS
from remote_upscale.api_clients.roots import Root, Roots
from remote_upscale.api_clients.settings import SANDBOX_KEY, Settings


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


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_words_that_turn_the_sandbox_on(word):
    assert Settings.load({"REMOTE_UPSCALE_SANDBOX": word}, home=Path("/nowhere")).sandbox


@pytest.mark.parametrize("word", ["0", "False", "no", "off", "", "  "])
def test_words_that_leave_the_sandbox_off(word):
    assert not Settings.load({"REMOTE_UPSCALE_SANDBOX": word}, home=Path("/nowhere")).sandbox


def test_other_words_about_the_sandbox_are_refused():
    """Whoever writes `production` may not find jobs sent to the sandbox, nor the other way round."""
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_SANDBOX is maybe, but it must be 1, true"):
        Settings.load({"REMOTE_UPSCALE_SANDBOX": "maybe"}, home=Path("/nowhere"))


def test_a_provider_declares_its_key_its_roots_and_its_options(tmp_path):
    """Nothing else has a table of providers."""

    class Invented(Fal):
        name = "invented"
        key_variable = "INVENTED_KEY"
        roots = (Root("invented", "REMOTE_UPSCALE_INVENTED_URL", "https://invented.example"),)

    (tmp_path / "settings.toml").write_text("[invented]\nallow_fallbacks = true\n")
    env = {"INVENTED_KEY": "i-1", "REMOTE_UPSCALE_INVENTED_URL": "https://gateway.example/i"}
    settings = Settings.load(env, home=tmp_path, providers=[Invented])
    assert settings.keys["invented"].reveal() == "i-1"
    assert settings.provider(Invented).root == "https://gateway.example/i"
    assert settings.options == {"invented": {"allow_fallbacks": True}}
    assert Invented(Roots()).root == "https://invented.example"
    assert settings.in_sandbox(Roots(), [Invented]).keys["invented"].reveal() == SANDBOX_KEY


def test_declared_names_are_unique():
    """Roots and variables of all providers stand side by side."""
    kinds: list[type[Provider]] = list(PROVIDERS.values())
    assert len(ROOTS) == sum(len(kind.roots) for kind in kinds)
    variables = [root.variable for root in ROOTS.values()] + [kind.key_variable for kind in kinds]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("line", ["allow_fallback = true", "allow_fallbacks = 1", 'allow_fallbacks = "yes"'])
def test_unusable_options_of_a_provider(tmp_path, line):
    (tmp_path / "settings.toml").write_text(f"[fal]\n{line}\n")
    with pytest.raises(InvalidParameter, match=r"settings\.toml: allow_fallback"):
        Settings.load({}, home=tmp_path)


def test_fallbacks_are_off_until_they_are_allowed(tmp_path):
    model = Fal.models[0]
    refused = Settings.load({}, home=tmp_path).provider(Fal).submit(model, {}, "https://a.example")
    assert "x-fal-disable-fallbacks" in refused.headers
    (tmp_path / "settings.toml").write_text("[fal]\nallow_fallbacks = true\n")
    let = Settings.load({}, home=tmp_path).provider(Fal).submit(model, {}, "https://a.example")
    assert "x-fal-disable-fallbacks" not in let.headers


def test_a_sandbox_touches_nothing_that_is_configured(tmp_path):
    env = {
        "REMOTE_UPSCALE_LEDGER_URL": "postgresql+psycopg://u:p@host/db",
        "REMOTE_UPSCALE_RESULTS_URL": "s3://results",
        "REMOTE_UPSCALE_BUCKET_URL": "s3://inputs",
        "REMOTE_UPSCALE_HOSTING": "object-store",
        "FAL_KEY": "real-key",
    }
    roots = Roots(fal_queue="http://127.0.0.1:9/q", fal_rest="http://127.0.0.1:9/r")
    inside = Settings.load(env, home=tmp_path).in_sandbox(roots)
    assert inside.home == tmp_path / "sandbox"
    assert inside.ledger_place == tmp_path / "sandbox" / "ledger.sqlite"
    assert (inside.ledger_url, inside.results_url, inside.bucket_url) == (None, None, None)
    assert (inside.hosting, inside.sandbox, inside.roots) == ("fal", True, roots)
    assert {key.reveal() for key in inside.keys.values()} == {SANDBOX_KEY}


def test_every_secret_that_is_read_is_hidden(tmp_path, monkeypatch):
    hidden: set[str] = set()
    monkeypatch.setattr(redaction, "hide", hidden.add)
    seen = []
    monkeypatch.setattr(redaction, "hide_environment", seen.append)
    credentials = tmp_path / "credentials.toml"
    accounts = '[studio]\nfal = "studio-key"\n[default]\npixazo = "default-key"\napixo = "sandbox"\n'
    credentials.write_text(accounts)
    credentials.chmod(0o600)
    env = {"FAL_KEY": " environment-key "}
    Settings.load(env, home=tmp_path)
    assert hidden == {"studio-key", "default-key", "environment-key"}
    assert seen == [env]


def test_roots_are_immutable_and_know_what_was_set():
    roots = Roots(pixazo="https://a.example")
    with pytest.raises(AttributeError):
        roots.pixazo = "https://b.example"
    with pytest.raises(AttributeError, match="apixo was not set"):
        roots.apixo  # noqa: B018
    assert roots.but(apixo="https://c.example") == Roots(
        pixazo="https://a.example", apixo="https://c.example"
    )
    assert (roots.get("apixo"), roots.all()) == (None, ("https://a.example",))


TEXT = 'at_once = 4\n[prices]\n"fal/seedvr2-image" = 0.05\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_file_is_read_as_editors_write_it(tmp_path, encoding, newline):
    (tmp_path / "settings.toml").write_bytes(TEXT.replace("\n", newline).encode(encoding))
    assert Settings.load({}, home=tmp_path).at_once == 4


@pytest.mark.parametrize("content", [TEXT.encode("utf-16-le"), "# Größe".encode("latin-1")])
def test_an_encoding_that_cannot_be_told_is_named(tmp_path, content):
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(InvalidParameter, match=r"settings\.toml cannot be read: it .* save it as UTF-8"):
        Settings.load({}, home=tmp_path)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_docker_leaves_are_taken_off(tmp_path, quote):
    env = {
        "REMOTE_UPSCALE_HOME": f"{quote}{tmp_path}/x y{quote}",
        "FAL_KEY": f" {quote}a:b{quote}",
        "REMOTE_UPSCALE_SANDBOX": f"{quote}1{quote}",
        "REMOTE_UPSCALE_FAL_CDN_URL": f"{quote}https://cdn.example{quote}",
    }
    settings = Settings.load(env)
    assert settings.home == tmp_path / "x y"
    assert settings.keys["fal"].reveal() == "a:b"
    assert settings.sandbox
    assert settings.roots.get("fal_cdn") == "https://cdn.example"


@pytest.mark.parametrize("value", ['"/x', "/x'", '"'])
def test_a_quote_at_one_end_is_refused(value):
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_HOME begins or ends with a quotation mark"):
        Settings.load({"REMOTE_UPSCALE_HOME": value})


def test_a_home_of_another_user_is_refused_and_one_of_this_user_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("~nobody", "~root/upscale", "~there-is-no-such-user"):
        with pytest.raises(InvalidParameter, match=r"REMOTE_UPSCALE_HOME begins with ~.* another user"):
            Settings.load({"REMOTE_UPSCALE_HOME": name})
    assert Settings.load({"REMOTE_UPSCALE_HOME": "~/upscale"}).home == tmp_path / "upscale"
    assert Settings.load({"REMOTE_UPSCALE_HOME": str(tmp_path / "~x")}).home == tmp_path / "~x"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become another user")
def test_a_user_without_a_home_is_told_what_to_set(tmp_path):
    """As in a container that runs under a number of its own."""
    program = (
        "import os, sys\n"
        "from remote_upscale.api_clients.settings import Settings\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "try:\n    Settings.load()\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
        "os.environ['REMOTE_UPSCALE_HOME'] = '/given'\nprint(Settings.load().home)"
    )
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG_", "REMOTE_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    refused, home = done.stdout.splitlines()
    assert refused.startswith("InvalidParameter This user has no home folder")
    assert "Set REMOTE_UPSCALE_HOME" in refused
    assert (home, list(tmp_path.iterdir())) == ("/given", [])
