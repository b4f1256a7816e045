"""Results compared with their sources, and their sound put back, in one pass over both files."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from numbered_videos import numbered, packets, ramp, times
from remote_upscale.api_clients.errors import InvalidInput, RemoteUpscaleError
from remote_upscale.api_clients.files import open_video
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_result import Compared, compare
from remote_upscale.nodes.media.video_write import write_video


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each clip was opened."""
    counted: Counter[str] = Counter()
    really = open_video._open

    def count(path: str, *args: object, **kwargs: object) -> object:
        counted[Path(path).name] += 1
        return really(path, *args, **kwargs)

    monkeypatch.setattr(open_video, "_open", count)
    return counted


@pytest.mark.parametrize("source", ["long.mp4", "long.mkv", "plain.mp4"])
def test_sound_is_put_back_packet_by_packet(
    clips: Path, tmp_path: Path, opened: Counter[str], source: str
) -> None:
    result, whole = clips / "silent.mp4", tmp_path / "whole.mp4"
    compared = compare(clips / source, result, whole)
    assert compared == Compared(True, ("The source's sound was put back.",))
    assert opened == {source: 1, "silent.mp4": 1}
    assert packets(whole, "video") == packets(result, "video")
    assert packets(whole, "audio") == packets(clips / source, "audio")
    assert times(whole, "video") == times(result, "video")
    with av.open(str(whole)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    before, after = read_frames(clips / source).audio, read_frames(whole).audio
    assert before is not None
    assert after is not None
    shared = min(before["waveform"].shape[2], after["waveform"].shape[2])
    assert shared >= 48000
    if source != "long.mkv":
        assert torch.equal(before["waveform"][..., :shared], after["waveform"][..., :shared])


def test_a_shorter_result_is_told_while_its_sound_is_put_back(clips: Path, tmp_path: Path) -> None:
    result, whole = tmp_path / "short.mp4", tmp_path / "whole.mp4"
    write_video(numbered(20), Fraction(30000, 1001), result)
    assert compare(clips / "long.mp4", result, whole) == Compared(
        True,
        (
            "The source's sound was put back.",
            "The result has 20 frames, the source 30.",
            "The result takes 0.667 seconds, the source 1.001.",
        ),
    )
    assert packets(whole, "audio") == packets(clips / "long.mp4", "audio")


def test_sound_that_does_not_fit_is_put_back_without_loss(clips: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    compared = compare(clips / "pcm.mkv", clips / "silent.mp4", whole)
    assert compared.restored
    assert compared.notes == (
        "The source's sound was put back as ALAC, which is lossless, since MP4 does not take pcm_s16le.",
    )
    before, after = read_frames(clips / "pcm.mkv").audio, read_frames(whole).audio
    assert before is not None
    assert after is not None
    assert torch.equal(after["waveform"], before["waveform"])


@pytest.mark.parametrize(("result", "source"), [("plain.mp4", "long.mp4"), ("silent.mp4", "silent.mp4")])
def test_there_is_nothing_to_put_back(
    clips: Path, tmp_path: Path, opened: Counter[str], result: str, source: str
) -> None:
    assert compare(clips / source, clips / result, tmp_path / "whole.mp4") == Compared(False, ())
    assert not list(tmp_path.iterdir())
    assert opened == Counter([result, source])


def test_differences_are_sentences(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    write_video(numbered(25), Fraction(25), other)
    assert compare(clips / "long.mp4", other).notes == (
        "The result has 25 frames, the source 30.",
        "The result has 25 frames per second, the source 30000/1001.",
        "The source has sound, the result has none.",
    )
    write_video(numbered(20), Fraction(30000, 1001), other, audio=ramp(24000))
    assert compare(clips / "plain.mp4", other).notes == (
        "The result has 20 frames, the source 30.",
        "The result takes 0.667 seconds, the source 1.001.",
        "The result's sound takes 0.500 seconds, the source's 1.000.",
    )
    assert compare(clips / "silent.mp4", clips / "plain.mp4").notes == (
        "The result has sound, the source has none.",
    )


@pytest.mark.parametrize("which", ["source", "result"])
def test_it_is_said_which_file_is_damaged(clips: Path, tmp_path: Path, which: str) -> None:
    bad, whole = tmp_path / "bad.mp4", tmp_path / "whole.mp4"
    good = clips / ("long.mp4" if which == "result" else "silent.mp4")
    data = (clips / ("silent.mp4" if which == "result" else "long.mp4")).read_bytes()
    bad.write_bytes(data[:300])
    with pytest.raises(InvalidInput, match=r"bad\.mp4"):
        compare(*((good, bad) if which == "result" else (bad, good)), whole)
    assert list(tmp_path.iterdir()) == [bad]


def test_where_nothing_can_be_written_that_is_the_error(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(RemoteUpscaleError, match=r"whole\.mp4 cannot be written"):
        compare(clips / "long.mp4", clips / "silent.mp4", tmp_path / "no such folder" / "whole.mp4")


def test_sound_is_put_back_though_times_cannot_be_compared(clips: Path, tmp_path: Path) -> None:
    source, whole = tmp_path / "still.mkv", tmp_path / "whole.mp4"
    with av.open(str(clips / "long.mp4")) as given, av.open(str(source), "w") as made:
        copies = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for number, packet in enumerate(given.demux()):
            if packet.dts is None or (packet.stream.type == "video" and number > 20):
                continue
            kind, packet.stream = packet.stream.type, copies[packet.stream.index]
            if kind == "video" and packet.dts > 0:  # the others come an hour later
                packet.pts += round(3600 / packet.time_base)
                packet.dts += round(3600 / packet.time_base)
            made.mux(packet)
    compared = compare(source, clips / "silent.mp4", whole)
    assert compared.restored
    assert compared.notes[0] == "The source's sound was put back."
    assert "was not found out" in compared.notes[1]
    assert packets(whole, "audio")
