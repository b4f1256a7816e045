"""Keys in a file: several accounts, nobody else's eyes, and never a word of them in an error."""

import codecs
import os
import subprocess
import sys

import pytest
from remote_upscale.api_clients.errors import AuthenticationFailed, InvalidParameter
from remote_upscale.api_clients.settings import Settings

SECRET = "distinctive-8c1f-secret"


@pytest.fixture
def write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "credentials.toml"
        path.write_text(text)
        path.chmod(mode)

    return write


def keys(tmp_path, environ=None, account=""):
    settings = Settings.load(environ or {}, home=tmp_path, account=account)
    return {name: key.reveal() for name, key in settings.keys.items()}


def test_accounts_have_their_own_keys_and_no_others(tmp_path, write):
    write('[default]\nfal = "d-fal"\napixo = "d-apixo"\n[studio]\nfal = " s-fal "\n')
    environ = {"FAL_KEY": "e-fal", "PIXAZO_API_KEY": "e-pixazo"}
    assert keys(tmp_path, environ) == {"fal": "e-fal", "pixazo": "e-pixazo", "apixo": "d-apixo"}
    assert keys(tmp_path) == {"fal": "d-fal", "apixo": "d-apixo"}
    assert keys(tmp_path, environ, "studio") == {"fal": "s-fal"}


def test_an_account_that_is_not_there_is_named(tmp_path, write):
    with pytest.raises(AuthenticationFailed, match=r"There is no account studio in .*\.toml\. "):
        keys(tmp_path, account="studio")
    write('[other]\nfal = "x"\n')
    with pytest.raises(AuthenticationFailed, match="toml, only other"):
        keys(tmp_path, account="studio")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path, write, mode):
    write('[default]\nfal = "x"\n', mode)
    with pytest.raises(AuthenticationFailed) as caught:
        keys(tmp_path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize(("mode", "taken"), [(0o440, True), (0o444, True), (0o644, False), (0o664, False)])
def test_what_another_owner_mounted_for_reading_is_taken(tmp_path, write, mode, taken):
    """The secrets of Docker and Kubernetes; this user could not change their permissions."""
    write('[default]\nfal = "mounted"\n', mode)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path\n"
        "from remote_upscale.api_clients.settings import Settings\n"
        "os.setgroups([0]); os.setuid(54321)\n"
        "print(Settings.load({}, home=Path(sys.argv[1])).keys['fal'].reveal())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.stdout == "mounted\n") is taken, done.stderr
    assert ("AuthenticationFailed" in done.stderr) is not taken


def test_what_cannot_be_used_can_be_done_without(tmp_path, write):
    write('[default]\nfal = "x"\n', 0o644)
    environ = {"FAL_KEY": "e-fal"}
    settings = Settings.load(environ, home=tmp_path, needs_keys=False)
    assert settings.keys["fal"].reveal() == "e-fal"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_trouble(tmp_path, write, encoding):
    write("")
    (tmp_path / "credentials.toml").write_bytes('[default]\nfal = "k"\n'.encode(encoding))
    assert keys(tmp_path) == {"fal": "k"}


def test_an_encoding_that_cannot_be_told_is_named(tmp_path, write):
    write("")
    content = f'[default]\nfal = "{SECRET}"\n'.encode("utf-16-le")
    (tmp_path / "credentials.toml").write_bytes(content)
    with pytest.raises(InvalidParameter, match="save it as UTF-8") as caught:
        keys(tmp_path)
    assert SECRET not in str(caught.value)
    assert not content.startswith(codecs.BOM_UTF16_LE)


@pytest.mark.parametrize(
    "text",
    [
        f"[default]\nfal = {SECRET}\n",
        f'fal = "{SECRET}"\n',
        f'[default]\nfal = ["{SECRET}"]\n',
        f'[default]\n"{SECRET}" = "x"\n',
        '[default]\nfal = " "\n',
        "\x00",
    ],
)
def test_what_is_not_usable_is_said_without_saying_what_it_is(tmp_path, write, text):
    write(text)
    with pytest.raises(InvalidParameter) as caught:
        keys(tmp_path)
    assert SECRET not in str(caught.value)


def test_settings_with_other_keys_differ(tmp_path, write):
    write('[default]\nfal = "a"\n')
    first = Settings.load({}, home=tmp_path)
    assert first == Settings.load({}, home=tmp_path)
    write('[default]\nfal = "b"\n')
    assert first != Settings.load({}, home=tmp_path)
