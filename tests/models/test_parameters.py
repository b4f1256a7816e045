"""Parameters: what is allowed, and the sentence that refuses the rest."""

import math

import pytest
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.parameters import Choice, Choices, Flag, Integer, Number, Text

FACTOR = Number(name="upscale_factor", help="", minimum=1, maximum=8)
NOISE = Number(name="noise_scale", help="", minimum=0, maximum=1, step=0.001)
DECIMAL = Number(name="upscale_factor", help="", minimum=1, maximum=8, decimal=True)
SEED = Integer(name="seed", help="")
TWO_OR_FOUR = Integer(name="upscale_factor", help="", choices=(2, 4))
TIER = Choice(name="resolution", help="", choices=("2k", "4k"), ignore_case=True)
FORMAT = Choice(name="output_format", help="", choices=("jpg", "png"), aliases={"jpeg": "jpg"})
EVENTS = Choices(name="events", help="", choices=("*", "completed"))
SYNC = Flag(name="sync_mode", help="")
HOOK = Text(name="webhook", help="", https=True)
JOB_ID = Text(name="job_id", help="", max_length=5)

ACCEPTED = [
    (FACTOR, 1, 1),
    (FACTOR, 8.0, 8),
    (FACTOR, 2.5, 2.5),
    (DECIMAL, 4, 4.0),
    (NOISE, 0.123, 0.123),
    (NOISE, 1, 1),
    (SEED, 2**31 - 1, 2**31 - 1),
    (SEED, 5.0, 5),
    (TWO_OR_FOUR, 4, 4),
    (TIER, "4K", "4k"),
    (FORMAT, "jpeg", "jpg"),
    (EVENTS, ["*"], ("*",)),
    (EVENTS, ("completed", "*"), ("completed", "*")),
    (SYNC, False, False),
    (HOOK, "https://a.example/b", "https://a.example/b"),
    (JOB_ID, "abcde", "abcde"),
]


@pytest.mark.parametrize(("parameter", "value", "canonical"), ACCEPTED)
def test_accepted(parameter, value, canonical):
    got = parameter.check(value)
    assert got == canonical
    assert type(got) is type(canonical)
    assert parameter.check(got) == got


REFUSED = [
    (FACTOR, 0.99, "upscale_factor is 0.99, but it must be a number from 1 to 8."),
    (FACTOR, 9, "upscale_factor is 9, but it must be a number from 1 to 8."),
    (FACTOR, math.nan, "upscale_factor is nan, but it must be a number from 1 to 8."),
    (FACTOR, math.inf, "upscale_factor is inf, but it must be a number from 1 to 8."),
    (FACTOR, True, "upscale_factor is True, but it must be a number from 1 to 8."),
    (FACTOR, "2", "upscale_factor is 2, but it must be a number from 1 to 8."),
    (NOISE, 0.0005, "noise_scale is 0.0005, but it must be a number from 0 to 1 in steps of 0.001."),
    (SEED, -1, "seed is -1, but it must be a whole number from 0 to 2147483647."),
    (SEED, 1.5, "seed is 1.5, but it must be a whole number from 0 to 2147483647."),
    (SEED, math.nan, "seed is nan, but it must be a whole number from 0 to 2147483647."),
    (TWO_OR_FOUR, 3, "upscale_factor is 3, but it must be 2 or 4."),
    (TIER, "16k", "resolution is 16k, but it must be 2k or 4k."),
    (FORMAT, "PNG", "output_format is PNG, but it must be jpg or png."),
    (FORMAT, 7, "output_format is 7, but it must be jpg or png."),
    (EVENTS, ["start"], "events is ['start'], but it must be a list of * or completed."),
    (EVENTS, [], "events is [], but it must be a list of * or completed."),
    (EVENTS, "completed", "events is completed, but it must be a list of * or completed."),
    (SYNC, 1, "sync_mode is 1, but it must be true or false."),
    (HOOK, "http://a.example", "webhook is http://a.example, but it must be an https:// address."),
    (HOOK, "https://", "webhook is https://, but it must be an https:// address."),
    (JOB_ID, "abcdef", "job_id is abcdef, but it must be a text of 1 to 5 characters."),
    (JOB_ID, "a\nb", "job_id is a\nb, but it must be a text of 1 to 5 characters."),
]


@pytest.mark.parametrize(("parameter", "value", "message"), REFUSED)
def test_refused_in_a_sentence(parameter, value, message):
    with pytest.raises(InvalidParameter) as caught:
        parameter.check(value)
    assert caught.value.message == message


PARSED = [
    (FACTOR, "2", 2),
    (FACTOR, "2.5", 2.5),
    (NOISE, "0.1", 0.1),
    (SEED, "12", 12),
    (EVENTS, "*, completed", ("*", "completed")),
    (SYNC, "Yes", True),
    (SYNC, "off", False),
    (TIER, "2K", "2k"),
]


@pytest.mark.parametrize(("parameter", "text", "value"), PARSED)
def test_read_from_a_command_line(parameter, text, value):
    assert parameter.parse(text) == value


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (FACTOR, "two"),
        (FACTOR, "nan"),
        (FACTOR, ""),
        (SEED, "1.5"),
        (SEED, "0x10"),
        (SYNC, "maybe"),
        (EVENTS, ""),
    ],
)
def test_unreadable_text_is_refused(parameter, text):
    with pytest.raises(InvalidParameter, match=parameter.name):
        parameter.parse(text)


AS_THE_PAGES_WRITE = [
    (EVENTS, '["completed"]', ("completed",)),
    (EVENTS, '["*", "completed"]', ("*", "completed")),
    (EVENTS, '"completed"', ("completed",)),
    (FORMAT, '"jpeg"', "jpg"),
    (TIER, '"4K"', "4k"),
    (HOOK, '"https://a.example/b"', "https://a.example/b"),
    (JOB_ID, "[1]", "[1]"),
    (JOB_ID, '"a', '"a'),
    (SYNC, "True", True),
    (FACTOR, "2.0", 2),
]


@pytest.mark.parametrize(("parameter", "text", "value"), AS_THE_PAGES_WRITE)
def test_values_are_taken_as_the_pages_write_them(parameter, text, value):
    assert parameter.parse(text) == value


@pytest.mark.parametrize("text", ["[]", '["completed", 7]', '["surprise"]', "[[", '{"a": 1}', "[" * 9999])
def test_a_list_that_is_not_allowed_is_refused(text):
    with pytest.raises(InvalidParameter, match="events is "):
        EVENTS.parse(text)
