"""CONTRIBUTING is enough to add a provider: its example is a whole one, and its words are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import AuthenticationFailed, ProviderUnavailable
from remote_upscale.api_clients.http_messages import Reply
from remote_upscale.api_clients.providers.base import Done, Failed, Provider, Queued, Running
from remote_upscale.api_clients.roots import Roots
from remote_upscale.api_clients.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture(scope="module")
def kind():
    """The example, as it is written."""
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code
    names = {"__name__": "example"}
    exec(compile(code[1], "CONTRIBUTING.md", "exec"), names)
    [found] = [
        one
        for one in names.values()
        if isinstance(one, type) and issubclass(one, Provider) and one is not Provider
    ]
    return found


def reply(body, status=200):
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def test_the_example_sends_a_job_and_reads_what_becomes_of_it(kind):
    provider, [model] = kind(Roots()), kind.models
    values = model.check({"factor": 4}).values
    request = provider.submit(model, values, "https://a.example/1.png")
    assert request.url == "https://api.mirabel.example/v1/upscale/lumen"
    assert json.loads(request.body) == {"image": "https://a.example/1.png", "factor": 4, "mood": "calm"}
    handle = provider.read_submit(model, reply({"id": "j-1"})).handle
    assert provider.status(handle).url == "https://api.mirabel.example/v1/jobs/j-1"
    assert handle == provider.handle(model, "j-1")
    assert provider.read_status(reply({"state": "waiting"})) == Queued()
    assert provider.read_status(reply({"state": "working"})) == Running()
    done = provider.read_status(reply({"state": "finished", "image": "https://a.example/2.png"}))
    assert isinstance(done, Done)
    assert isinstance(provider.read_status(reply({"state": "broken"})), Failed)


def test_the_example_believes_only_its_provider(kind):
    provider = kind(Roots())
    with pytest.raises(AuthenticationFailed, match="Mirabel does not accept the key: no such key"):
        provider.read_status(reply({"error": "no such key"}, 401))
    with pytest.raises(ProviderUnavailable):
        provider.read_status(Reply(502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"))


def test_settings_read_what_the_example_declares(kind, tmp_path):
    given = {
        "MIRABEL_API_KEY": "distinctive-mirabel-key",
        "REMOTE_UPSCALE_MIRABEL_URL": "https://gateway.example/m/",
    }
    settings = Settings.load(given, home=tmp_path, providers=[kind])
    assert settings.keys["mirabel"].reveal() == "distinctive-mirabel-key"
    assert kind(settings.roots).root == "https://gateway.example/m"


def sources():
    return [file for layer in ("api_clients", "nodes") for file in (ROOT / layer).rglob("*.py")]


def test_the_names_of_the_glossary_are_in_the_code():
    code = "".join(file.read_text("utf-8") for file in sources())
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| `([^`]+)` \|$", TEXT.partition("## Glossary")[2], re.MULTILINE)
    assert len(rows) > 10
    for name in rows:
        if "/" in name:
            assert (ROOT / "api_clients" / name).exists(), name
        else:
            assert [part for part in name.split(".") if not re.search(rf"\b{part}\b", code)] == [], name


def test_the_files_that_a_checklist_names_are_there():
    text = TEXT.partition("## Adding a model")[2].partition("```python")[0]
    named = re.findall(r"`((?:api_clients|tests|tools|locales)/[\w./-]+)`", text)
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
