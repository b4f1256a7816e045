"""Nothing that opens what is private is kept of a link."""

import secrets
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_steps import intent, prepare, step, submitted
from remote_upscale.api_clients.errors import ProviderFailed, StorageFailed
from remote_upscale.api_clients.ledger import link_digest
from remote_upscale.api_clients.ledger.links import bare, bare_source, bare_text

TOKENS = [
    "AbCdEf123456",  # short, with digits and both cases
    "abcdefghij0123456789",  # long and mixed
    "9f86d081884c7d659a2feaa0c55ad015",
    str(uuid.UUID(int=0x9F86D081884C4D659A2FEAA0C55AD015)),
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "token-AbCdEf123456789",
    "AbC123%2FdEf456%2BgHi789xyz12%3D",
    "9f86d081884c7d659a2feaa0c55ad015.png",
]
NAMES = [
    "photo.png",
    "IMG_20240131_123456.jpg",
    "my-holiday-in-the-mountains-2024.png",
    "upscaled_2024_01_31_frame_0001_v2.png",
    "aVeryLongNameWithoutAnyDigitInIt.png",
    "20240131123456789012345.png",
    "seedvr2-3b",
    "@user",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_in_a_path_is_not_kept(token):
    assert bare(f"https://cdn.test/in/{token}/photo.png") == "https://cdn.test/in/…/photo.png"
    assert bare_source(f"https://cdn.test/{token}") == "https://cdn.test/…"


@given(st.integers(16, 48))
def test_tokens_of_any_length_are_not_kept(size):
    token = secrets.token_hex(size)
    assert token not in bare(f"https://cdn.test/{token}")


@pytest.mark.parametrize("name", NAMES)
def test_what_people_call_their_files_is_kept(name):
    assert bare(f"https://cdn.test/in/{name}") == f"https://cdn.test/in/{name}"


def test_no_link_is_kept_with_its_signature(ledger):
    link = "https://user:SECRET@cdn.test/in/photo.png?X-Amz-Signature=SECRET#SECRET"
    prepare(ledger, source=link, parameters={"webhook": link, "seed": 7, "urls": [link, {"deep": link}]})
    (row,) = ledger.jobs()
    shown = "https://cdn.test/in/photo.png"
    assert row.source == shown
    assert row.parameters == {"webhook": shown, "seed": 7, "urls": [shown, {"deep": shown}]}
    assert "SECRET" not in repr(row)


def test_no_text_keeps_a_token_of_a_link_in_it(ledger):
    token = TOKENS[0]
    link = f"https://cdn.test/{token}/a.png?sig={token}"
    words = f"It was not to be had from {link}, or so.\n"
    kept = "It was not to be had from https://cdn.test/…/a.png or so."
    failed, lost, left, given_up, noted = (submitted(ledger) for _ in range(5))
    ledger.mark_failed(failed, ProviderFailed(words))
    step(ledger, lost, "mark_stored")
    ledger.mark_lost(lost, ProviderFailed(words))
    ledger.release(left, StorageFailed(words))
    unknown = prepare(ledger)
    step(ledger, unknown, "mark_submitting")
    ledger.mark_unknown(unknown, ProviderFailed(words))
    ledger.mark_cancelled(given_up, words)
    ledger.set_note(noted, words)
    for job in (failed, lost, left, unknown):
        assert ledger.get(job).error_message == kept
    for job in (given_up, noted):
        assert ledger.get(job).note == kept


def test_texts_fit_on_a_line():
    assert bare_text("two\nlines\x1b[31m") == "two lines [31m"
    assert len(bare_text("a" * 5000)) == 1000
    assert bare("a\x00b") == "a b"


def test_a_link_is_recognised_whatever_its_signature():
    link = "https://user@cdn.test/9f86d081884c7d659a2feaa0c55ad015/a.png"
    assert link_digest(f"{link}?sig=1") == link_digest(f"{link}?sig=2#x") == link_digest(link)
    assert link_digest(link) != link_digest(link.replace("9f86", "9f87")), "its token tells it apart"
    assert link_digest("no link") != link_digest("another")


def test_an_intent_is_not_changed():
    given = intent(parameters={"words": ("x", "y")})
    assert bare(given.parameters) == {"words": ["x", "y"]}
    assert given.parameters == {"words": ("x", "y")}
