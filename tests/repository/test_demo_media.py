"""The bundled photograph and clip are what their licence page and the demo say."""

import hashlib
from fractions import Fraction
from pathlib import Path

import av

MEDIA = Path(__file__).parents[2] / "demo" / "media"


def test_the_photograph_is_the_one_whose_licence_is_stated():
    digest = hashlib.sha256((MEDIA / "cat.png").read_bytes()).hexdigest()
    assert digest in (MEDIA / "LICENSES.md").read_text("utf-8")


def test_every_file_has_a_stated_licence():
    page = (MEDIA / "LICENSES.md").read_text("utf-8")
    assert [
        file.name for file in MEDIA.iterdir() if f"`{file.name}`" not in page and file.suffix != ".md"
    ] == []


def test_the_clip_has_a_broadcast_rate_colour_tags_and_sound():
    with av.open(MEDIA / "cat.mp4") as clip:
        picture, sound = clip.streams.video[0], clip.streams.audio[0]
        colours = picture.codec_context
        assert (colours.name, picture.pix_fmt, picture.width, picture.height) == ("h264", "yuv420p", 480, 270)
        assert (colours.colorspace, colours.color_primaries, colours.color_trc, colours.color_range) == (
            1,
            1,
            1,
            1,
        )
        assert (sound.codec_context.name, sound.rate, sound.layout.name) == ("aac", 48000, "stereo")
        assert picture.average_rate == Fraction(30_000, 1001)
        assert (
            picture.duration * picture.time_base
            == sound.duration * sound.time_base
            == Fraction(60 * 1001, 30_000)
        )
        assert sum(1 for _ in clip.decode(picture)) == 60
