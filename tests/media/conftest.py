"""Clips for the tests of this room."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from numbered_videos import numbered, ramp, recode
from remote_upscale.nodes.media.video_write import write_video


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long.mp4``: 30 frames with sound and key frames at 0, 10, 20; and others, named by what they are."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(numbered(), Fraction(30000, 1001), folder / "silent.mp4", crf=1)
    write_video(numbered(), Fraction(30000, 1001), folder / "plain.mp4", crf=1, audio=ramp())
    recode(folder / "plain.mp4", folder / "long.mp4", "aac")
    recode(folder / "plain.mp4", folder / "long.mkv", "aac")
    recode(folder / "plain.mp4", folder / "pcm.mkv", "pcm_s16le")
    return folder
