"""Clips to files and back, against what ComfyUI does: speed, quality, memory, and stalls of other threads.

    python bench/bench_media_video.py [FRAMES_OF_1080P [FRAMES_OF_4K]]

The baseline is ComfyUI's own code where it can be imported (COMFYUI_PATH, or ~/comfy/ComfyUI), otherwise the
same steps in our own words. Each round runs all ways one after the other; the table shows medians.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from remote_upscale.nodes.media.colour import Colour, to_frame
from remote_upscale.nodes.media.converter import Converter
from remote_upscale.nodes.media.parallel import single_threaded_opencv
from remote_upscale.nodes.media.video_read import read_frames
from remote_upscale.nodes.media.video_write import write_video

RATE = Fraction(30000, 1001)
ROUNDS = 3
COMFYUI = Path(os.environ.get("COMFYUI_PATH", Path.home() / "comfy" / "ComfyUI"))
MB = 1e6


def moving_picture(count: int, height: int, width: int) -> torch.Tensor:
    """Frames [B, H, W, 3] with soft shapes, muted colours, edges and film grain; it pans."""
    random = np.random.default_rng(7)
    wide = width + 4 * count
    shapes = cv2.resize(random.random((height // 90, wide // 90), np.float32), (wide, height))
    shapes += 0.3 * cv2.resize(random.random((height // 12, wide // 12), np.float32), (wide, height))
    tints = cv2.resize(random.random((height // 200, wide // 200, 3), np.float32), (wide, height))
    still = np.clip(0.5 * shapes[..., None] + 0.25 * (tints - 0.4) + 0.1, 0.1, 0.9)
    for _ in range(200):
        corner = random.integers(0, wide), random.integers(0, height)
        cv2.circle(still, corner, int(random.integers(4, 60)), [random.random()] * 3, 2, cv2.LINE_AA)
    grains = 0.005 * random.standard_normal((4, height, width, 1), np.float32)
    frames = np.empty((count, height, width, 3), np.float32)
    for number in range(count):
        np.clip(still[:, 4 * number : 4 * number + width] + grains[number % 4], 0.1, 0.9, frames[number])
    return torch.from_numpy(frames)


def comfyui() -> Any:
    """ComfyUI's module of VIDEO, without the packages around it; ``None`` if it is not there."""
    if not (COMFYUI / "comfy_api" / "latest" / "_input_impl" / "video_types.py").is_file():
        return None
    for name in ("comfy_api", "comfy_api.latest"):
        package = types.ModuleType(name)
        package.__path__ = [str(COMFYUI.joinpath(*name.split(".")))]
        sys.modules[name] = package
    try:
        return importlib.import_module("comfy_api.latest._input_impl.video_types")
    except ImportError:
        return None


def baseline_write(frames: torch.Tensor, path: Path) -> None:
    """Encode as ComfyUI's SaveVideo does."""
    module = comfyui()
    if module is not None:
        parts = module.VideoComponents(images=frames, audio=None, frame_rate=RATE)
        module.VideoFromComponents(parts).save_to(str(path))
        return
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags+faststart"}) as container:
        stream = container.add_stream("h264", rate=Fraction(round(RATE * 1000), 1000))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for picture in frames:
            pixels = (picture * 255).clamp(0, 255).byte().numpy()
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=1)))
        container.mux(stream.encode(None))


def baseline_read(path: Path) -> torch.Tensor:
    """Decode as ComfyUI's GetVideoComponents does: a list of frames, then one tensor."""
    module = comfyui()
    if module is not None:
        return module.VideoFromFile(str(path)).get_components().images
    with av.open(str(path)) as container:
        return torch.stack(
            [torch.from_numpy(frame.to_ndarray(format="gbrpf32le")) for frame in container.decode(video=0)]
        )


def decoded_as_709(path: Path, count: int) -> np.ndarray[Any, Any]:
    """The first frames, by libswscale with BT.709 and exact rounding: independent of our own reader."""
    pictures = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pictures.append(
                frame.reformat(
                    format="rgb24",
                    src_colorspace="ITU709",
                    src_color_range=1,
                    dst_color_range=2,
                    interpolation="BILINEAR",
                ).to_ndarray()
            )
            if len(pictures) == count:
                break
    return np.stack(pictures)


def psnr(frames: torch.Tensor, path: Path) -> float:
    """In dB, of the first frames."""
    decoded = decoded_as_709(path, 12)
    wanted = np.rint(frames[: len(decoded)].numpy() * 255)
    return 10 * math.log10(255**2 / np.square(decoded - wanted).mean(dtype=np.float64))


def x264_alone(frames: list[av.VideoFrame], path: Path) -> None:
    """Encode frames that are converted already: what no way of conversion can be faster than."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoding_alone(path: Path) -> None:
    """Decode and throw away: what no way of conversion can be faster than."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass


def interleaved(ways: dict[str, Callable[[], Any]], memory: int = 0) -> dict[str, float]:
    """Median seconds of each way.

    Args:
        ways: what to run, by name.
        memory: bytes that are touched and freed again before each: a virtual machine may have to be given
            them by its host first, which can take longer than everything else.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            np.empty(memory, np.uint8).fill(1)
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def longest_stall(way: Callable[[], Any]) -> float:
    """The longest time in ms that another thread, which sleeps 1 ms at a time, had to wait for more.

    It is the median of some runs.
    """
    return statistics.median(_longest_stall(way) for _ in range(ROUNDS)) * 1e3


def _longest_stall(way: Callable[[], Any]) -> float:
    stalls: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            started = time.perf_counter()
            time.sleep(0.001)
            stalls.append(time.perf_counter() - started - 0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    result = way()
    done.set()
    thread.join()
    del result  # not earlier: to give gigabytes back takes long itself
    return max(stalls)


def peak() -> float:
    """Most memory that this process had since ``forget_peak``, in MB; NaN where that is not known."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return math.nan
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB


def forget_peak() -> None:
    """Let the peak be what is in memory now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def extra_memory(way: str, count: int, path: Path) -> float:
    """What a way needs beyond its input, in MB, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_extra_memory, (way, count, path))


def _extra_memory(way: str, count: int, path: Path) -> float:
    if way.startswith("write"):
        frames = moving_picture(count, 1080, 1920)
        write = write_video if way == "write" else None
        forget_peak()
        before = peak()
        if write is None:
            baseline_write(frames, path)
        else:
            write(frames, RATE, path)
        return peak() - before
    cv2.resize(np.zeros((64, 64, 3), np.float32), (32, 32))
    comfyui()
    forget_peak()
    before = peak()
    if way == "read":
        read_frames(path)
    elif way == "read fast":
        read_frames(path, exact=False)
    else:
        baseline_read(path)
    return peak() - before


def show(*cells: str) -> None:
    """Print a row of the table."""
    print(f"{cells[0]:<38}", *(f"{cell:>13}" for cell in cells[1:]), flush=True)


def bench_writing(folder: Path, count: int) -> None:
    """1080p frames to MP4."""
    frames = moving_picture(count, 1080, 1920)
    ours, theirs, bare = folder / "ours.mp4", folder / "theirs.mp4", folder / "bare.mp4"
    converted = [to_frame(picture) for picture in frames]
    seconds = interleaved(
        {
            "theirs": lambda: baseline_write(frames, theirs),
            "ours": lambda: write_video(frames, RATE, ours),
            "bare": lambda: x264_alone(converted, bare),
        }
    )
    stalls = {
        "theirs": longest_stall(lambda: baseline_write(frames, theirs)),
        "ours": longest_stall(lambda: write_video(frames, RATE, ours)),
        "bare": longest_stall(lambda: x264_alone(converted, bare)),
    }
    started = time.perf_counter()
    for picture in frames:
        to_frame(picture)
    conversion = (time.perf_counter() - started) / count
    show(f"1080p, {count} frames to mp4", "frames/s", "ratio", "PSNR dB", "MB", "extra MB", "stall ms")
    for name, key, path in (("ComfyUI save_to", "theirs", theirs), ("ours, veryfast, crf 16", "ours", ours)):
        show(
            name,
            f"{count / seconds[key]:.1f}",
            f"{seconds['theirs'] / seconds[key]:.2f}",
            f"{psnr(frames, path):.2f}",
            f"{path.stat().st_size / MB:.1f}",
            f"{extra_memory('write' if key == 'ours' else 'write theirs', count, path):.0f}",
            f"{stalls[key]:.1f}",
        )
    show(
        "limit: x264 alone, veryfast, crf 16",
        f"{count / seconds['bare']:.1f}",
        f"{seconds['theirs'] / seconds['bare']:.2f}",
        *[""] * 3,
        f"{stalls['bare']:.1f}",
    )
    show("limit: conversion alone, one thread", f"{1 / conversion:.1f}")


def mean_of_file(path: Path) -> float:
    """The mean of all red, green and blue in a clip of BT.709 4:2:0, from its planes without any picture."""
    sums, count = np.zeros(3), 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            planes = frame.to_ndarray()
            luma, blue, red = np.split(planes, [frame.height, frame.height * 5 // 4])
            sums += [part.mean(dtype=np.float64) for part in (luma, blue, red)]
            count += 1
    luma, blue, red = (sums / count - [16, 128, 128]) / [219, 224, 224]
    rgb = luma + 1.5748 * red, luma - 0.187324 * blue - 0.468124 * red, luma + 1.8556 * blue
    return float(np.mean(rgb))


def bench_reading(folder: Path, count: int) -> None:
    """4K MP4 to frames."""
    path = folder / "4k.mp4"
    frames = moving_picture(count, 2160, 3840)
    write_video(frames, RATE, path, crf=23)
    output = frames.nbytes / MB
    del frames
    held = mean_of_file(path)
    shifts = {
        exact: (read_frames(path, exact=exact).images.mean(dtype=torch.float64).item() - held) * 255
        for exact in (True, False)
    }
    ways: dict[str, Callable[[], Any]] = {
        "theirs": lambda: baseline_read(path),
        "ours, exact": lambda: read_frames(path),
        "ours, fast": lambda: read_frames(path, exact=False),
        "bare": lambda: decoding_alone(path),
    }
    seconds = interleaved(ways, memory=int(2.2 * output * MB))
    stalls = {name: longest_stall(way) for name, way in ways.items()}
    show(f"4K mp4 to {count} frames", "frames/s", "ratio", "shift, codes", "memory/output", "", "stall ms")
    modes = {"theirs": "read theirs", "ours, exact": "read", "ours, fast": "read fast"}
    for name, mode in modes.items():
        shift = {"ours, exact": shifts[True], "ours, fast": shifts[False]}.get(name)
        show(
            "ComfyUI get_components" if name == "theirs" else name,
            f"{count / seconds[name]:.1f}",
            f"{seconds['theirs'] / seconds[name]:.2f}",
            "" if shift is None else f"{shift:+.3f}",
            f"{extra_memory(mode, count, path) / output:.2f}",
            "",
            f"{stalls[name]:.1f}",
        )
    show(
        "limit: decoding alone",
        f"{count / seconds['bare']:.1f}",
        f"{seconds['theirs'] / seconds['bare']:.2f}",
        *[""] * 3,
        f"{stalls['bare']:.1f}",
    )
    show("limit: a second of nothing", *[""] * 5, f"{longest_stall(lambda: time.sleep(1)):.1f}")
    for name, best in least_of_reading(path, count).items():
        show(name, f"{count / best:.1f}", f"{seconds['theirs'] / best:.2f}")


def least_of_reading(path: Path, count: int) -> dict[str, float]:
    """Seconds that frames take if the work of every step is shared out among the cores without any loss."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        frames = [frame for frame, _ in zip(container.decode(video=0), range(4), strict=False)]
        colour = Colour.of(frames[0], container.streams.video[0].codec_context)
    shape = (len(frames), frames[0].height, frames[0].width, 3)
    scale = count / len(frames)
    with single_threaded_opencv():
        decoding = processor_time(lambda: decoding_alone(path))
        known = np.empty(shape, np.float32)
        known.fill(0)
        new = scale * (
            processor_time(lambda: np.empty(shape, np.float32).fill(1))
            - processor_time(lambda: known.fill(1))
        )
        least = {"limit: decoding and new memory alone": decoding + new}
        for exact in (True, False):
            converter = Converter(colour, exact=exact)
            converting = scale * processor_time(
                lambda converter=converter: [
                    converter.convert(frame, row) for frame, row in zip(frames, known, strict=True)
                ]
            )
            name = "exact" if exact else "fast"
            least[f"limit: with conversion too, {name}"] = decoding + new + converting
    return {name: seconds / (os.cpu_count() or 1) for name, seconds in least.items()}


def processor_time(way: Callable[[], Any]) -> float:
    """Seconds of all cores together; the median of some."""
    seconds: list[float] = []
    for _ in range(ROUNDS):
        started = time.process_time()
        way()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    given = [int(argument) for argument in sys.argv[1:3]]
    small, large = given + [48, 40][len(given) :]
    print(
        f"baseline: {'ComfyUI' if comfyui() else 'the same steps in our own words'}; {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as folder:
        bench_writing(Path(folder), small)
        print()
        bench_reading(Path(folder), large)


if __name__ == "__main__":
    main()
