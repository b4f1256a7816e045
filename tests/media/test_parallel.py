"""OpenCV's number of threads is the process's; what changes it puts it back."""

import threading
from fractions import Fraction
from pathlib import Path

import cv2
import pytest
import torch
from remote_upscale.nodes.media import video_read
from remote_upscale.nodes.media.parallel import single_threaded_opencv
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video


@pytest.fixture(autouse=True)
def three_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_opencv_gets_its_threads_back_from_the_last_who_leaves():
    second = single_threaded_opencv()
    with single_threaded_opencv():
        second.__enter__()
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 3


def test_a_number_that_somebody_else_set_meanwhile_is_kept():
    with single_threaded_opencv():
        cv2.setNumThreads(2)
    assert cv2.getNumThreads() == 2


def test_reading_and_writing_share_the_work_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, bool]] = []
    convert = video_read.Converter.convert

    def watched(*arguments: object) -> None:
        seen.append((cv2.getNumThreads(), threading.current_thread() is threading.main_thread()))
        convert(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(video_read.Converter, "convert", watched)
    write_video(torch.rand(3, 32, 32, 3), Fraction(25), tmp_path / "c.mp4")
    assert cv2.getNumThreads() == 3
    read_frames(tmp_path / "c.mp4")
    assert seen == [(1, False)] * 3
    assert cv2.getNumThreads() == 3
