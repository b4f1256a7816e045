"""No secret, whole or in pieces, in anything that is shown, logged or stored."""

import base64
import logging
import secrets
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_upscale.api_clients import redaction
from remote_upscale.api_clients.errors import ProviderFailed
from remote_upscale.api_clients.redaction import PIECE, PLACEHOLDER, Redactor, get_logger, hide_environment
from remote_upscale.api_clients.text import clean

SECRET = "kL9/x+Zq==:7f3a%Tb~Yw"


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.hide(SECRET)
    return redactor


@pytest.fixture
def fresh() -> str:
    """A secret that is registered for the process, and that no other test has."""
    secret = secrets.token_urlsafe(24)
    redaction.hide(secret)
    return secret


@given(st.data())
def test_every_piece_goes_and_what_is_around_it_stays(data):
    redactor = Redactor()
    redactor.hide(SECRET)
    start = data.draw(st.integers(0, len(SECRET) - PIECE))
    end = data.draw(st.integers(start + PIECE, len(SECRET)))
    told = redactor.redact(f"<<{SECRET[start:end]}>>")
    assert told == f"<<{PLACEHOLDER}>>"


@given(st.text(max_size=60), st.integers(0, 3), st.data())
def test_no_piece_of_any_secret_is_left_in_any_text(around, times, data):
    redactor = Redactor()
    known = data.draw(
        st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40))
    )
    known = [secret for secret in known if secret.lower() != "sandbox"]
    for secret in known:
        redactor.hide(secret)
    told = redactor.redact(around + around.join(known * times))
    for secret in known:
        for at in range(len(secret) - PIECE + 1):
            assert secret[at : at + PIECE] not in told


def test_less_than_a_piece_stays(redactor):
    text = f"ends in {SECRET[-7:]}"
    assert redactor.redact(text) == text


@pytest.mark.parametrize("upper", [str, str.upper, str.lower])
@pytest.mark.parametrize(
    "write",
    [
        lambda text: quote(text, safe=""),
        quote,
        quote_plus,
        lambda text: "".join(f"%{ord(char):02x}" for char in text),
        lambda text: quote(text[:-9], safe="") + text[-9:],
    ],
)
def test_percent_encoded_forms_go(redactor, write, upper):
    written = upper(write(SECRET))
    assert redactor.redact(f"a{written}b") == f"a{PLACEHOLDER}b"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
def test_base64_forms_go_wherever_they_stand_in_it(redactor, encode, before, after):
    told = redactor.redact(f"Basic {encode((before + SECRET + after).encode()).decode()}")
    assert PLACEHOLDER in told
    assert len(told) < len("Basic ") + len(PLACEHOLDER) + 16
    piece = encode((before + SECRET[4 : 4 + PIECE + 2] + after).encode()).decode()
    assert PLACEHOLDER in redactor.redact(piece)


def test_short_secrets_go_as_whole_words_only():
    redactor = Redactor()
    redactor.hide("abc12")
    redactor.hide("p%40s")
    assert redactor.redact("abc12, abc123, (abc12) _abc12 p@s.") == "***, abc123, (***) _abc12 ***."


@pytest.mark.parametrize("word", ["a", "key", "secret", "12345", "x1"])
def test_what_could_be_any_word_stays(word):
    redactor = Redactor()
    redactor.hide(word)
    assert redactor.redact(f"it is {word} again") == f"it is {word} again"


def test_the_sandbox_s_key_is_a_word_and_stays():
    redactor = Redactor()
    redactor.hide("sandbox")
    redactor.hide("")
    redactor.hide("  ")
    assert redactor.redact("the sandbox, answered") == "the sandbox, answered"


def test_only_the_last_of_what_passes_is_kept():
    redactor = Redactor()
    lasting = secrets.token_hex(16)
    redactor.hide(lasting)
    tokens = [secrets.token_hex(16) for _ in range(50)]
    for token in tokens:
        redactor.hide(token, passing=True)
    assert redactor.redact(f"{lasting} {tokens[-1]}") == "*** ***"
    assert redactor.redact(tokens[0]) == tokens[0]


ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEBYaDH",
    "AZURE_STORAGE_ACCOUNT_KEY": "Eby8vdM02xNOcqFlq",
    "AZURE_STORAGE_SAS_TOKEN": "?sv=2026-01-01&se=2026-09-09T00%3A00%3A00Z&sig=q7rT%2BxWv91Lm%3D",
    "AZURE_CLIENT_SECRET": "8Q~aBcDeFgHiJk",
    "GOOGLE_SERVICE_ACCOUNT_KEY": '{"type": "service_account", "token_uri": "https://oauth2.googleapis.com", '
    '"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\nhkiG9w0BAQEFAASC\\n-----END-----\\n"}',
    "REMOTE_UPSCALE_LEDGER_URL": "postgresql+psycopg://farm:hunter%40three@db.example/jobs?sslpassword=tlsPw-5d1e7",
    "https_proxy": "http://me:proxyPw-9c41@proxy.example:3128",
    "ALL_PROXY": "me:otherPw-e207@proxy.example:3128",
    "PGPASSWORD": "pgPw-b3c6f8",
}
TAKEN_OUT = [
    "wJalrXUtnFEMI/K7MDENG",
    "FwoGZXIvYXdzEBYaDH",
    "Eby8vdM02xNOcqFlq",
    "q7rT+xWv91Lm=",
    "q7rT%2BxWv91Lm%3D",
    "8Q~aBcDeFgHiJk",
    "MIIEvQIBADANBgkq",
    "hkiG9w0BAQEFAASC",
    "hunter@three",
    "hunter%40three",
    "tlsPw-5d1e7",
    "proxyPw-9c41",
    "otherPw-e207",
    "pgPw-b3c6f8",
]


def test_secrets_of_the_environment_go_and_its_words_stay():
    hide_environment(
        ENVIRONMENT
        | {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token-file",
            "AWS_S3_BUCKET_KEY_ENABLED": "true",
            "AZURE_STORAGE_ACCOUNT_NAME": "studiostorage",
            "HTTP_PROXY": "http://[broken",
            "HOME": "/home/somebody",
        }
    )
    for secret in TAKEN_OUT:
        assert redaction.redact(f"said {secret} again") == "said *** again", secret
    words = "2026-01-01 https://oauth2.googleapis.com db.example proxy.example true /var/run/token-file"
    assert redaction.redact(words) == words


def test_an_error_has_no_secret_from_the_start(fresh):
    error = ProviderFailed(f"It said {fresh}", hint=f"Ask about {fresh[3:15]}.")
    changed = error.but(message=f"Again {fresh}")
    for one in (error, changed):
        assert fresh[:PIECE] not in f"{one} {one.args} {one!r}"
        assert one.hint == "Ask about ***."


def test_log_lines_and_tracebacks_have_no_secret(fresh, caplog):
    log = get_logger("remote_upscale.test")
    try:
        raise KeyError(fresh)
    except KeyError:
        log.exception("Failed with %s", fresh)
    log.warning("%d and", "no number")
    assert "Failed with ***" in caplog.text
    assert "KeyError: '***'" in caplog.text
    assert fresh[:PIECE] not in caplog.text
    assert fresh[:PIECE] not in str(vars(caplog.records[0]))


def test_a_traceback_is_formatted_only_where_there_is_one(caplog):
    get_logger("remote_upscale.test").warning("plain")
    assert caplog.records[0].exc_text is None
    assert caplog.records[0].levelno == logging.WARNING


def test_cleaned_words_have_no_secret_even_where_they_are_cut(fresh):
    for limit in range(20, 60):
        told = clean(f"The key is {fresh}" * 20, limit)
        assert not any(fresh[at : at + PIECE] in told for at in range(len(fresh) - PIECE + 1))


LINKS = [
    ("https://bucket.example/a.png?X-Amz-Signature=deadbeef", "https://bucket.example/a.png"),
    ("https://x.example/a#token=1", "https://x.example/a"),
    ("https://x.example?token=1", "https://x.example"),
    ("https://me:pass@x.example/a", "https://x.example/a"),
    ("postgresql+psycopg://me:pa@ss@x.example/jobs", "postgresql+psycopg://x.example/jobs"),
    ("https://v3.fal.media/files/b/7Q1xJ9K2mLw0ZzP8sTtR_out.png", "https://v3.fal.media/…"),
    ("https://x.example/d/764cabcf-b745-4b3e-ae38-1200304cf45b/a.png", "https://x.example/…"),
    ("https://x.example/d/764cabcf%2Db745%2D4b3e%2Dae38%2D1200304cf45b", "https://x.example/…"),
    ("https://x.example/share/qwertzuiopasdfghjklyx", "https://x.example/…"),
    (
        "https://x.example/topaz-upscale-video-753/v1/request",
        "https://x.example/topaz-upscale-video-753/v1/request",
    ),
    (
        "https://x.example/seedvr2-7b-upscale/image-request",
        "https://x.example/seedvr2-7b-upscale/image-request",
    ),
    ("https://fal.ai/dashboard/billing.", "https://fal.ai/dashboard/billing."),
]


@pytest.mark.parametrize(("link", "shown"), LINKS)
def test_of_a_link_only_what_opens_nothing_is_shown(link, shown):
    assert clean(f"See '{link}' now") == f"See '{shown}' now"


def test_cleaning_a_long_line_of_letters_takes_no_time():
    assert len(clean("a" * 1_000_000, 4000)) == 4000
