import json
import signal
import urllib.request
from types import SimpleNamespace

import pytest
from faults import error, finished, literal
from remote_upscale.api_clients import credentials
from remote_upscale.api_clients.cli import check
from remote_upscale.api_clients.errors import (
    AuthenticationFailed,
    HostingFailed,
    InvalidParameter,
    Meaning,
    StorageFailed,
)
from remote_upscale.api_clients.files import scratch
from remote_upscale.api_clients.settings import TimeLimits

MODEL = "pixazo/crystal-image"
MISSING = AuthenticationFailed("There is no key.", meaning=Meaning.NOT_SENT)


def test_check_on_a_machine_without_anything(cli):
    ran = cli("check")
    assert ran.status == 3
    for variable in ("PIXAZO_API_KEY", "APIXO_API_KEY", "FAL_KEY", "REMOTE_UPSCALE_BUCKET_URL"):
        assert variable in ran.out
    lines = {line.split()[1]: line.split()[0] for line in ran.out.splitlines() if not line.startswith(" ")}
    assert lines == {
        "sandbox": "ok",
        "ledger": "ok",
        "results": "ok",
        "network": "ok",
        "pixazo": "missing",
        "apixo": "missing",
        "fal": "missing",
        "hosting": "missing",
    }


def findings(ran):
    return {document["check"]: document for document in ran.documents}


def test_check_tries_keys_and_hosting(cli, remote):
    ran = cli("check", "--json")
    found = findings(ran)
    assert ran.status == 0
    assert all(finding["ok"] for finding in found.values())
    assert list(found["fal"]) == ["check", "ok", "detail", "hint"]
    assert any("balance" in request.path for request in remote.requests)
    assert any(request.path.endswith("/files/upload") for request in remote.requests)
    assert remote.jobs == []


def test_check_needs_only_one_provider(cli, remote, monkeypatch):
    monkeypatch.delenv("PIXAZO_API_KEY")
    monkeypatch.delenv("APIXO_API_KEY")
    ran = cli("check", "--json")
    assert ran.status == 0
    assert not findings(ran)["apixo"]["ok"]


def test_check_tells_a_refused_key(cli, remote):
    remote.faults.add("balance", error(401), times=None)
    finding = findings(cli("check", "--json"))["apixo"]
    assert not finding["ok"]
    assert finding["hint"]


def test_check_tells_hosting_that_does_not_work(cli, remote):
    for stage in ("token", "upload", "initiate"):
        remote.faults.add(stage, error(403), times=None)
    ran = cli("check", "--json")
    assert ran.status == 3
    assert not findings(ran)["hosting"]["ok"]


def test_check_fetches_back_what_it_uploaded(cli, remote):
    gone = f"{remote.roots.fal_cdn}/files/b/gone/a.png"
    remote.faults.add("upload", literal(json.dumps({"access_url": gone})))
    ran = cli("check", "--json")
    assert ran.status == 3
    assert not findings(ran)["hosting"]["ok"]


def test_check_tells_an_unusable_home(cli, remote, home):
    (home / "ledger.sqlite").mkdir(parents=True)
    ran = cli("check", "--json")
    assert ran.status == 1
    assert "REMOTE_UPSCALE_HOME" in findings(ran)["ledger"]["hint"]


def test_check_names_the_variable_of_certificates_that_are_not_there(cli, remote, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/cacert.pem")
    ran = cli("check", "--json")
    assert ran.status == 2
    assert ran.err == ""
    assert "SSL_CERT_FILE names /nonexistent/cacert.pem" in findings(ran)["network"]["detail"]


def test_check_warns_of_keys_that_others_can_read(cli, remote, home, monkeypatch):
    home.mkdir()
    path = home / "credentials.toml"
    path.write_text('[default]\nfal = "mounted"\n')
    path.chmod(0o444)
    monkeypatch.setattr(credentials, "_is_fixed", lambda _file: True)  # as on a mount that is read-only
    assert findings(cli("check", "--json"))["keys"] == {
        "check": "keys",
        "ok": True,
        "detail": f"{path} can be read by others, and cannot be changed from here.",
        "hint": "Mount it so that only this user can read it, if that can be.",
    }
    assert "warning  keys " in cli("check").out


def test_jobs_needs_no_credentials(cli, home):
    home.mkdir()
    (home / "credentials.toml").write_text('[default]\nfal = "k"\n')
    (home / "credentials.toml").chmod(0o644)
    assert cli("jobs").status == 0
    assert "chmod 600" in cli("check").err


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_that_is_not_needed_is_not_judged(cli, picture, monkeypatch, variable):
    monkeypatch.setenv(variable, "nonsense://127.0.0.1:7890")
    ran = cli("run", MODEL, picture(), "-o", "out/", "--sandbox", "--json")
    assert (ran.status, ran.documents[0]["state"]) == (0, "completed")
    assert cli("check", "--json").status == 3  # there are no keys
    monkeypatch.setenv("FAL_KEY", "a:b")
    ran = cli("check", "--json")
    assert ran.status == 2
    assert variable in findings(ran)["network"]["detail"]


@pytest.fixture
def no_temporary_folder(monkeypatch):
    """A container in which all but one folder is read-only."""

    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(scratch, "tempfile", SimpleNamespace(gettempdir=none))


@pytest.mark.usefixtures("no_temporary_folder")
def test_the_home_folder_does_where_there_is_no_other(cli, picture, home, monkeypatch):
    ran = cli("run", MODEL, picture(), "-o", "out/", "--sandbox", "--json")
    assert (ran.status, ran.documents[0]["state"]) == (0, "completed")
    monkeypatch.setenv("REMOTE_UPSCALE_SANDBOX", "1")
    assert cli("check", "--json").status == 0
    assert sorted(path.name for path in home.iterdir()) == ["sandbox"]


@pytest.mark.usefixtures("no_temporary_folder")
def test_where_nothing_can_be_written_it_is_said(home):
    home.write_text("a file where the folder should be")
    with pytest.raises(StorageFailed, match="cannot be made: Not a directory") as caught:
        scratch.scratch_place(home / "below")
    assert "Set REMOTE_UPSCALE_HOME or TMPDIR" in caught.value.hint


def test_check_calls_missing_only_what_is_missing(cli, remote, home):
    (home / "ledger.sqlite").mkdir(parents=True)
    lines = {line.split()[1]: line.split()[0] for line in cli("check").out.splitlines() if line[0] != " "}
    assert (lines["ledger"], lines["results"], lines["fal"]) == ("failed", "ok", "ok")


def test_check_says_what_it_is_at(cli, remote):
    said = cli("check").err.splitlines()
    assert said[:2] == ["Checking the ledger …", "Checking the result store …"]
    assert said[-1] == "Checking hosting …"
    assert cli("check", "--json").err == ""


def test_check_does_not_wait_as_long_as_a_job_may():
    assert check._short(TimeLimits()) == TimeLimits(retry=3, idle=10, transfer=30)
    assert check._short(TimeLimits(retry=1, idle=2)).retry == 1


def test_a_key_that_is_refused_is_there_all_the_same():
    """3 means that something has to be set; here something has to be changed."""
    found = {
        "ledger": None,
        "results": None,
        "network": None,
        "hosting": None,
        "pixazo": MISSING,
        "fal": MISSING,
    }
    refused = AuthenticationFailed("APIXO does not accept the key.")
    assert status_of(found | {"apixo": refused}) == 1
    assert status_of(found | {"apixo": MISSING}) == 3
    assert status_of(found | {"apixo": None}) == 0
    assert status_of({"ledger": None, "results": None, "network": InvalidParameter("A variable.")}) == 2
    assert status_of(found | {"apixo": None, "results": StorageFailed("Full.")}) == 1
    assert status_of(found | {"apixo": None, "hosting": HostingFailed("No place.")}) == 3


def status_of(errors):
    return check._status([check._Finding(name, "", error) for name, error in errors.items()])


def test_check_in_the_sandbox(cli, monkeypatch):
    monkeypatch.setenv("REMOTE_UPSCALE_SANDBOX", "1")
    ran = cli("check")
    assert ran.status == 0
    assert "embedded sandbox" in ran.out


def test_jobs_lists_the_newest_first(cli, remote, picture):
    assert cli("jobs").out == "There are no jobs yet.\n"
    assert cli("jobs", "--json").out == ""
    remote.faults.add("submit", error(402), provider="pixazo")
    remote.faults.add("submit", finished(), provider="pixazo")
    first = cli("run", MODEL, picture("a.png"), "-o", "out/", "--json").documents[0]
    second = cli("run", MODEL, picture("b.png"), "-o", "out/", "--json").documents[0]
    assert (first["state"], second["state"]) == ("failed", "completed")

    newest, oldest = cli("jobs", "--json").documents
    assert (newest["state"], newest["request_id"]) == ("completed", second["request_id"])
    assert newest["output"] == second["output"]
    assert newest["cost_usd"] == 0.07
    assert newest["created"] <= newest["submitted"] <= newest["finished"]
    assert newest["created"].endswith("Z")
    assert (oldest["state"], oldest["request_id"], oldest["cost_usd"]) == ("failed", None, 0)
    assert oldest["error"]["kind"] == "insufficient_balance"
    head, *lines = cli("jobs").out.splitlines()
    assert head.split()[:3] == ["CREATED", "STATE", "MODEL"]
    assert [line.split()[2] for line in lines] == ["completed", "failed"]
    assert second["request_id"] in lines[0]


@pytest.mark.parametrize("command", ["jobs", "resume"])
def test_an_unusable_home_stops_a_command(cli, home, command):
    (home / "ledger.sqlite").mkdir(parents=True)
    ran = cli(command)
    assert (ran.status, ran.out) == (1, "")
    assert "REMOTE_UPSCALE_HOME" in ran.err


def test_the_sandbox_is_served_until_stopped(start):
    process = start("sandbox")
    lines = [process.stdout.readline() for _ in range(10)]
    variables = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
    assert set(variables) == {
        *(
            f"REMOTE_UPSCALE_{name}_URL"
            for name in ("PIXAZO", "APIXO", "FAL_QUEUE", "FAL_REST", "FAL_CDN", "FAL_API")
        ),
        *("PIXAZO_API_KEY", "APIXO_API_KEY", "FAL_KEY", "REMOTE_UPSCALE_HOSTING"),
    }
    request = urllib.request.Request(
        f"{variables['REMOTE_UPSCALE_APIXO_URL']}/apikeys/current-balance",
        headers={"Authorization": f"Bearer {variables['APIXO_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.loads(reply.read())["code"] == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "http://127.0.0.1:" in err
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_told(start):
    first = start("sandbox")
    line = first.stdout.readline()
    port = line.rpartition(":")[2].partition("/")[0]
    second = start("sandbox", "--port", port)
    _, err = second.communicate(timeout=30)
    assert second.returncode == 2
    assert f"port {port}" in err
