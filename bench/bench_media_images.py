"""Pictures between tensors and files, against what ComfyUI and its partner nodes do.

A photographic picture of 4096 x 4096 pixels with grain, and the demonstration's picture enlarged and with
grain added. Times are medians of interleaved runs in one process, memory is the largest resident size above
what it was before, sampled in a process of its own, and the longest stall is how late another Python thread
came that wanted to run every half millisecond. Where it came late, the same is measured while all cores are
busy outside of Python: that is then the system's scheduler.
"""

from __future__ import annotations

import gc
import importlib.util
import io
import multiprocessing
import os
import statistics
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from goals import at_least, at_most
from PIL import Image
from remote_upscale.api_clients.files.formats.png import chunks
from remote_upscale.api_clients.files.formats.structure import Source
from remote_upscale.nodes.media import png
from remote_upscale.nodes.media.decode import decode_image
from remote_upscale.nodes.media.quantize import to_float, to_uint8

SIDE = 4096
ROUNDS = 3
PIXELS = SIDE * SIDE * 3
CAT = Path(__file__).parents[1] / "demo" / "media" / "cat.png"
ENCODING_GOAL = 80.0 if importlib.util.find_spec("isal") else 40.0
DECODING_GOALS = {"PNG": 2.4, "JPEG": 2.5, "WebP": 3.0}
SIZE_GOAL, ENCODING_MEMORY, DECODING_MEMORY, STALL = 1.15, 1.0, 1.27, 5.0


def synthetic(side: int = SIDE) -> torch.Tensor:
    """Gradients, soft blobs, hard edges and film-like grain; always the same. [H,W,3]."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    waves = [np.sin(7 * x + 3 * y), np.cos(5 * x * y + 1), np.sin(4 * y - 2 * x)]
    image = np.stack([0.5 + 0.3 * wave for wave in waves], -1).astype(np.float32)
    blobs = cv2.resize(rng.random((48, 48, 3), np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    image = 0.6 * image + 0.4 * blobs
    for _ in range(60):
        corner, size = rng.integers(0, side, 2), rng.integers(side // 64, side // 6, 2)
        colour = tuple(float(v) for v in rng.random(3))
        cv2.rectangle(image, tuple(map(int, corner)), tuple(map(int, corner + size)), colour, -1, cv2.LINE_AA)
    return torch.from_numpy(with_grain(cv2.GaussianBlur(image, (0, 0), 0.8), rng))


def enlarged_cat(side: int = SIDE) -> torch.Tensor:
    """The demonstration's picture, enlarged, with grain. [H,W,3]."""
    small = cv2.imread(str(CAT), cv2.IMREAD_COLOR)
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)[..., ::-1] / np.float32(255)
    return torch.from_numpy(with_grain(large, np.random.default_rng(2)))


def with_grain(image: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Grain of about two codes, more of it gray than coloured."""
    shape = image.shape
    grain = 0.006 * rng.standard_normal((*shape[:2], 1), np.float32)
    return np.clip(image + grain + 0.003 * rng.standard_normal(shape, np.float32), 0, 1)


def partner_png(image: torch.Tensor) -> bytes:
    """What partner nodes send: Pillow's default."""
    file = io.BytesIO()
    Image.fromarray((image.numpy() * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def own_baseline(file: io.BytesIO) -> torch.Tensor:
    """What ComfyUI does with a picture's file, in our words, for where ComfyUI is not installed."""
    with Image.open(file) as image:
        values = np.array(image.convert("RGB")).astype(np.float32) / 255.0
    return torch.from_numpy(values).unsqueeze(0)


def comfyui_decoder() -> tuple[Callable[[io.BytesIO], torch.Tensor], str]:
    """ComfyUI's own function, or an equivalent; and which of them it is."""
    root = Path(os.environ.get("COMFYUI_PATH", "~/comfy/ComfyUI")).expanduser()
    sys.path.insert(0, str(root))
    try:
        from comfy_api_nodes.util.conversions import bytesio_to_image_tensor  # noqa: PLC0415
    except Exception:  # noqa: BLE001  (whatever ComfyUI lacks here, there is the equivalent)
        return own_baseline, "an equivalent of ComfyUI's"
    finally:
        sys.path.remove(str(root))
    return bytesio_to_image_tensor, "ComfyUI's own"


def files_of(image: torch.Tensor) -> dict[str, bytes]:
    """The picture as a provider sends it."""
    pixels = cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2BGR)
    settings = {
        "PNG": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
        "JPEG": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
        "WebP": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 90]),
    }
    return {name: cv2.imencode(*[s[0], pixels, s[1]])[1].tobytes() for name, s in settings.items()}


def seconds(calls: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median time of each call; the calls take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def longest_stall(call: Callable[[], object]) -> float:
    """By how many milliseconds another thread came late while the call ran; the best of three tries."""
    return min(_stall(call) for _ in range(3))


def _stall(call: Callable[[], object]) -> float:
    over, worst = threading.Event(), 0.0
    pause = 0.0005

    def watch() -> None:
        nonlocal worst
        while not over.is_set():
            began = time.perf_counter()
            time.sleep(pause)
            worst = max(worst, time.perf_counter() - began - pause)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    over.set()
    watcher.join()
    return worst * 1e3


def resident() -> int:
    """Bytes of this process in main memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _load(path: Path) -> Any:
    """A picture [H,W,3] from an array's file, or a file's bytes."""
    return torch.from_numpy(np.load(path)) if path.suffix == ".npy" else path.read_bytes()


def _measure(call: Callable[[Any], object], path: Path, small: Path, answer: Any) -> None:
    call(_load(small))  # code that is used for the first time is read into memory
    argument = _load(path)
    gc.collect()
    before, highest, over = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not over.is_set():
            highest = max(highest, resident())
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = call(argument)
    highest = max(highest, resident())
    over.set()
    watcher.join()
    del result
    answer.send(highest - before)


def extra_memory(call: Callable[[Any], object], argument: object, small: object) -> int:
    """Most bytes that a call takes, its result included, in a new process.

    Args:
        call: what is measured.
        argument: what it is given: a picture, or a file's bytes.
        small: something small of the same kind, for the first call, which is not measured.
    """
    here, there = multiprocessing.Pipe()
    with TemporaryDirectory() as folder:
        paths: list[Path] = []
        for name, value in (("large", argument), ("small", small)):
            path = Path(folder) / (f"{name}.npy" if isinstance(value, torch.Tensor) else name)
            if isinstance(value, torch.Tensor):
                np.save(path, value.numpy())
            elif isinstance(value, bytes):
                path.write_bytes(value)
            paths.append(path)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_measure, args=(call, *paths, there))
        process.start()
        used = int(here.recv())
        process.join()
    return used


def decode(data: bytes) -> torch.Tensor:
    """A file to a tensor."""
    return decode_image(data, alpha=False, max_pixels=SIDE * SIDE)


def row(step: str, what: str, value: float, goal: float, *, most: bool, unit: str = "x") -> bool:
    """Print one line; whether the goal is reached."""
    reached = (at_most if most else at_least)(goal, f"{step}: {what}", value, unit).met
    sign = "<=" if most else ">="
    print(f"{step:<24}{what:<34}{value:>9.2f} {unit:<3} goal {sign} {goal:<5g} {'yes' if reached else 'NO'}")
    return reached


def stall(step: str, call: Callable[[], object]) -> None:
    """Print the longest stall, and where it is too long, how long it is without any Python."""
    if not row(step, "longest stall", longest_stall(call), STALL, most=True, unit="ms"):
        alone = longest_stall(busy_cores)
        print(f"{step:<24}  limit: with all cores busy outside of Python {alone:>6.2f} ms")
        interval = sys.getswitchinterval() * 1e3
        print(f"{step:<24}  limit: Python lets a thread keep its lock for {interval:>9.2f} ms")


def busy_cores() -> None:
    """Keep all cores busy for some tenths of a second in long calls without Python's lock."""
    data = bytes(range(256)) * (1 << 15)
    threads = png.available_threads()
    list(png.in_order(lambda block: len(zlib.compress(block, 1)), [data] * 8, threads=threads, ahead=threads))


def encoding(name: str, image: torch.Tensor) -> None:
    """Tensor to PNG."""
    step = f"{name} -> PNG"
    theirs, ours = partner_png(image), png.encode_png(image)
    taken = seconds({"theirs": lambda: partner_png(image), "ours": lambda: png.encode_png(image)}, 1)
    taken |= {"ours": seconds({"ours": lambda: png.encode_png(image)}, 7)["ours"]}
    print(
        f"{step:<24}Pillow {taken['theirs']:.2f} s, {len(theirs) / 1e6:.1f} MB; this {taken['ours']:.3f} s,"
    )
    reached = row(
        step, "speed against Pillow's default", taken["theirs"] / taken["ours"], ENCODING_GOAL, most=False
    )
    if not reached:
        limit(step, "deflate alone, in all threads", taken["theirs"] / deflate_alone(image))
        limit(step, "reading the tensor alone", taken["theirs"] / seconds({"": lambda: to_uint8(image)})[""])
    if not row(step, "file against Pillow's default", len(ours) / len(theirs), SIZE_GOAL, most=True):
        limit(step, "codes of single bytes at their best", entropy(image) / len(theirs))
    memory = extra_memory(png.encode_png, image, image[:256, :256]) / PIXELS
    if not row(step, "memory against 8-bit picture", memory, ENCODING_MEMORY, most=True):
        limit(step, "the file alone", len(ours) / PIXELS)
    stall(step, lambda: png.encode_png(image))


def limit(step: str, what: str, value: float) -> None:
    """Print below a goal that is not met what there would be if only this had to be done."""
    print(f"{step:<24}  limit: {what:<38}{value:>9.2f} x")


def entropy(image: torch.Tensor) -> float:
    """Bytes of the filtered picture if each byte took as many bits as its frequency asks for."""
    pixels = np.pad(to_uint8(image).reshape(SIDE, -1), ((1, 0), (0, 0)))
    share = np.bincount(png.average_filter(pixels, 3).reshape(-1), minlength=256) / PIXELS
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum() * PIXELS / 8)


def deflate_alone(image: torch.Tensor) -> float:
    """What the compressor alone takes for rows that are already filtered, with all threads at work."""
    pixels = to_uint8(image).reshape(SIDE, -1)
    rows = png.STRIP // pixels.shape[1]
    module: Any = png.isal or zlib
    strategy = () if png.isal else (zlib.Z_HUFFMAN_ONLY,)
    strips = [np.diff(pixels[n : n + rows], axis=1, prepend=np.uint8(0)) for n in range(0, SIDE, rows)]

    def pack(strip: np.ndarray[Any, Any]) -> int:
        packer = module.compressobj(1, zlib.DEFLATED, -15, 9, *strategy)
        return len(packer.compress(strip.data) + packer.flush(zlib.Z_SYNC_FLUSH))

    def run() -> None:
        threads = png.available_threads()
        list(png.in_order(pack, strips, threads=threads, ahead=2 * threads))

    return seconds({"run": run})["run"]


def decoding(name: str, data: bytes, small: bytes, theirs: Callable[[io.BytesIO], torch.Tensor]) -> None:
    """File to tensor."""
    step = f"{name} -> tensor"
    pixels = codec_alone(data)
    values = to_float(pixels)
    taken = seconds(
        {
            "theirs": lambda: theirs(io.BytesIO(data)),
            "ours": lambda: decode(data),
            "codec": lambda: codec_alone(data),
            "inflate": lambda: inflate_alone(data) if name == "PNG" else None,
            "fill": lambda: to_float(pixels, values),
            "fill new": lambda: to_float(pixels),
        },
        5,
    )
    ratio = taken["theirs"] / taken["ours"]
    print(f"{step:<24}ComfyUI {taken['theirs']:.3f} s, this {taken['ours']:.3f} s, {len(data) / 1e6:.1f} MB")
    if not row(step, "speed against ComfyUI", ratio, DECODING_GOALS[name], most=False):
        if name == "PNG":
            limit(step, "inflating alone, in one thread", taken["theirs"] / taken["inflate"])
        limit(step, "OpenCV's codec alone", taken["theirs"] / taken["codec"])
        for what in ("fill", "fill new"):
            after = "floats in memory at hand" if what == "fill" else "floats in new memory"
            limit(step, f"codec, then {after}", taken["theirs"] / (taken["codec"] + taken[what]))
    memory = extra_memory(decode, data, small) / (4 * PIXELS)
    if not row(step, "memory against the result", memory, DECODING_MEMORY, most=True):
        codec = extra_memory(codec_alone, data, small) / (4 * PIXELS)
        limit(step, "the codec alone, and the result", 1 + codec)
    stall(step, lambda: decode(data))


def codec_alone(data: bytes) -> np.ndarray[Any, Any]:
    """A file's pixels as OpenCV has them."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def inflate_alone(data: bytes) -> None:
    """Inflate a PNG and throw its rows away, with the inflater that is used here."""
    source = Source.in_memory(data, Path("picture"), "png")
    packer: Any = (png.isal or zlib).decompressobj()
    for part in chunks(source):
        if part.name == b"IDAT":
            packer.decompress(source.at(part.data[0], part.data[1] - part.data[0]))


def conversions(image: torch.Tensor) -> None:
    """The two conversions by themselves, against a copy of the same memory."""
    pixels = to_uint8(image)
    values = image.numpy()
    taken = seconds(
        {
            "numpy": lambda: np.clip(255.0 * values, 0, 255).astype(np.uint8),
            "to_uint8": lambda: to_uint8(image),
            "numpy back": lambda: pixels.astype(np.float32) / 255.0,
            "to_float": lambda: to_float(pixels),
            "copy": values.copy,
        },
        7,
    )
    print(f"{'float -> 8 bits':<24}{taken['numpy'] / taken['to_uint8']:.1f} x numpy's clip and astype")
    print(
        f"{'8 bits -> float':<24}{taken['numpy back'] / taken['to_float']:.1f} x numpy's astype and division"
    )
    print(f"{'':<24}(a copy of the floats takes {taken['copy'] / taken['to_float']:.2f} of the latter)")


def main() -> None:
    """Print the table."""
    theirs, which = comfyui_decoder()
    accelerator = "isal" if png.isal else "zlib, without isal"
    print(f"{SIDE} x {SIDE} pixels; deflate by {accelerator}; the decoder compared with is {which}")
    image = synthetic()
    conversions(image)
    encoding("synthetic", image)
    encoding("cat", enlarged_cat())
    small = files_of(image[:512, :512])
    for name, data in files_of(image).items():
        decoding(name, data, small[name], theirs)


if __name__ == "__main__":
    main()
