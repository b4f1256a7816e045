"""What the sandbox makes: Lanczos pictures, exact clips, and what it refuses to touch."""

import io
from fractions import Fraction

import av
import httpx
import pytest
from faults import Stage, fails, redirect
from PIL import Image, ImageChops, ImageCms, ImageStat
from remote_upscale.api_clients.sandbox import MARK, State
from remote_upscale.api_clients.sandbox.inputs import sniff
from remote_upscale.api_clients.sandbox.problems import InputRefused
from remote_upscale.api_clients.sandbox.upscale_image import upscale as upscale_image
from remote_upscale.api_clients.sandbox.upscale_video import Encoding
from remote_upscale.api_clients.sandbox.upscale_video import upscale as upscale_video

FAL = {"Authorization": "Key key"}
PIXAZO = {"Ocp-Apim-Subscription-Key": "key"}
VIDEO = "seedvr-upscale/v1/upscale-video/generate"


def double(size):
    return size[0] * 2, size[1] * 2


async def fal_picture(sandbox, client, url, **fields):
    reply = await client.post(
        f"{sandbox.roots.fal_queue}/fal-ai/seedvr/upscale/image",
        headers=FAL,
        json={"image_url": url, **fields},
    )
    result = await client.get(reply.json()["response_url"], headers=FAL)
    file = await client.get(result.json()["image"]["url"])
    return Image.open(io.BytesIO(file.content))


async def pixazo_status(sandbox, client, path, body):
    reply = await client.post(f"{sandbox.roots.pixazo}/{path}", headers=PIXAZO, json=body)
    return (await client.get(reply.json()["polling_url"], headers=PIXAZO)).json()


@pytest.mark.parametrize(("file_format", "tolerance"), [("png", 0), ("webp", 0), ("jpg", 24)])
async def test_pictures_are_pillows_lanczos(sandbox, client, photo, input_url, file_format, tolerance):
    got = await fal_picture(sandbox, client, input_url, upscale_factor=3, output_format=file_format)
    wanted = photo.resize((180, 120), Image.Resampling.LANCZOS)
    assert (got.format, got.size) == ({"jpg": "JPEG"}.get(file_format, file_format.upper()), (180, 120))
    difference = ImageChops.difference(got.convert("RGB"), wanted)
    assert max(high for _, high in difference.getextrema()) <= tolerance
    assert MARK in (got.info.get("Software"), got.getexif().get(0x0131))
    assert got.getexif()[0x0131] == MARK


async def test_a_target_is_the_shorter_side(sandbox, client, input_url):
    got = await fal_picture(sandbox, client, input_url, upscale_mode="target", target_resolution="720p")
    assert got.size == (1080, 720)


def test_profile_orientation_and_alpha_are_kept(tmp_path, photo):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "private"
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    photo.save(tmp_path / "in.png", icc_profile=profile, exif=exif)
    assert upscale_image(tmp_path / "in.png", tmp_path / "out.png", "png", double) == (120, 80)
    with Image.open(tmp_path / "out.png") as made:
        assert made.mode == "RGBA"
        assert made.info["icc_profile"] == profile
        assert dict(made.getexif()) == {0x0112: 6, 0x0131: MARK}
        wanted = photo.resize((120, 80), Image.Resampling.LANCZOS)
        assert made.tobytes() == wanted.tobytes()


def test_a_profile_for_inks_is_not_put_on_a_result_in_lights(tmp_path, photo):
    photo.convert("CMYK").save(tmp_path / "in.jpg", icc_profile=b"a profile for CMYK")
    upscale_image(tmp_path / "in.jpg", tmp_path / "out.png", "png", double)
    with Image.open(tmp_path / "out.png") as made:
        assert made.mode == "RGB"
        assert "icc_profile" not in made.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK"])
@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_every_mode_fits_every_format(tmp_path, photo, mode, file_format):
    source = tmp_path / ("in.jpg" if mode == "CMYK" else "in.png")
    made = (
        photo.convert("L").convert("I;16").point(lambda v: v * 257) if mode == "I;16" else photo.convert(mode)
    )
    made.save(source)
    upscale_image(source, tmp_path / "out", file_format, double)
    with Image.open(tmp_path / "out") as out:
        assert (out.format, out.size) == (file_format.upper(), (120, 80))
        grey, wanted = out, photo.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        if out.mode == "I;16":
            grey = out.convert("I").point(lambda v: v / 257)
        mean = grey.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert abs(mean - wanted) <= 12


def test_a_transparent_palette_becomes_alpha(tmp_path):
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 9, 99, 199])
    palette.save(tmp_path / "in.png", transparency=1)
    upscale_image(tmp_path / "in.png", tmp_path / "out.png", "png", double)
    with Image.open(tmp_path / "out.png") as made:
        assert made.mode == "RGBA"
        assert made.getpixel((3, 3))[3] == 0


@pytest.mark.parametrize(("to", "file_format"), [((100_000, 10_000), "png"), ((20_000, 10), "webp")])
def test_too_many_pixels_are_refused_before_they_are_made(tmp_path, photo, to, file_format):
    photo.save(tmp_path / "in.png")
    with pytest.raises(InputRefused):
        upscale_image(tmp_path / "in.png", tmp_path / "out", file_format, lambda _size: to)
    assert not (tmp_path / "out").exists()


async def test_inputs_are_refused_in_each_providers_words(sandbox, client, host, photo, encode):
    gif = await host(sandbox, encode(photo, "GIF"), "image/gif")
    cut = await host(sandbox, encode(photo)[:900])
    for url, error_type in (
        (gif, "image_load_error"),
        (cut, "image_load_error"),
        (f"{sandbox.url}/nothing", "file_download_error"),
        ("http://93.184.216.34/x.png", "file_download_error"),
        ("https://example.com/x.png", "file_download_error"),
        ("ftp://127.0.0.1/x.png", "file_download_error"),
        ("http://[bad/x.png", "file_download_error"),
        ("data:image/png;base64,???", "file_download_error"),
    ):
        reply = await client.post(
            f"{sandbox.roots.fal_queue}/fal-ai/seedvr/upscale/image", headers=FAL, json={"image_url": url}
        )
        result = await client.get(reply.json()["response_url"], headers=FAL)
        assert result.status_code == 422
        assert result.json()["detail"][0]["type"] == error_type
        assert result.json()["detail"][0]["loc"] == ["body", "image_url"]
        elsewhere = "127.0.0.1" not in url and not url.startswith("data:")
        assert ("loopback addresses only" in result.json()["detail"][0]["msg"]) == (
            elsewhere or url.startswith("ftp")
        )
    crystal = "upscaler/v1/upscale"
    status = await pixazo_status(sandbox, client, crystal, {"image": gif})
    assert (status["status"], status["error"][:30]) == ("FAILED", "Unsupported input format: unkn")
    status = await pixazo_status(sandbox, client, crystal, {"image": f"{sandbox.url}/nothing"})
    assert status["status"] == "ERROR"
    assert [job.charged for job in sandbox.jobs][-2:] == [True, False]


async def test_a_redirected_input_is_not_followed(sandbox, client, input_url):
    done = await pixazo_status(sandbox, client, "upscaler/v1/upscale", {"image": input_url})
    link = done["output"]["media_url"][0]
    sandbox.faults.add(Stage.DOWNLOAD, redirect(input_url))
    status = await pixazo_status(sandbox, client, "upscaler/v1/upscale", {"image": link})
    assert (status["status"], status["error"][-4:]) == ("ERROR", "302.")
    assert [job.state for job in sandbox.jobs] == [State.DONE, State.FAILED]


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"\0\0\0\x20ftypisom", "mp4"),
        (b"\0\0\0\x14ftypqt  ", "mov"),
        (b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_formats_are_told_from_their_bytes(head, word):
    assert sniff(head) == word


def frames(path):
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def sound(path):
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return stream.codec_context.name, [bytes(packet) for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mov", {"sound": "pcm_s16le"}),
        ("a.avi", {"codec": "mjpeg", "sound": None, "full_range": True}),
        ("a.webm", {"codec": "libvpx", "sound": "libopus"}),
    ],
)
def test_rate_count_and_sound_are_exact(tmp_path, make_clip, rate, name, options):
    source = make_clip(tmp_path / name, rate=rate, **options)
    target = tmp_path / "out.mp4"
    assert upscale_video(source, target, Encoding(), double) == (96, 64)
    with av.open(str(target)) as container:
        video = container.streams.video[0]
        assert (video.average_rate, video.frames, (video.width, video.height)) == (rate, 8, (96, 64))
        assert container.metadata["comment"] == MARK
        times = [frame.pts * video.time_base for frame in container.decode(video)]
        assert times == [index / rate for index in range(8)]
    if options.get("sound", "aac"):
        assert sound(target) == sound(source)


def test_mp3_in_avi_is_copied_and_a_gap_stays(tmp_path, make_clip):
    source = make_clip(tmp_path / "a.avi", codec="mjpeg", sound="libmp3lame", full_range=True)
    upscale_video(source, tmp_path / "out.mp4", Encoding(), double)
    assert sound(tmp_path / "out.mp4") == sound(source)
    # The muxer of AVI leaves a gap after the first frame when sound comes late.
    before, after = ([frame.time for frame in frames(path)] for path in (source, tmp_path / "out.mp4"))
    assert after == pytest.approx(before)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("hevc", [False, True])
def test_frames_are_lanczos_in_their_own_colours(tmp_path, make_clip, hevc, full_range):
    source = make_clip(tmp_path / "a.mp4", sound=None, full_range=full_range)
    upscale_video(source, tmp_path / "out.mp4", Encoding(hevc=hevc), double)
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.name == ("hevc" if hevc else "h264")
        assert (context.color_range, context.colorspace) == (2 if full_range else 1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
    for before, after in zip(frames(source), frames(tmp_path / "out.mp4"), strict=True):
        wanted = luma(before).resize((96, 64), Image.Resampling.LANCZOS)
        difference = ImageChops.difference(luma(after), wanted).crop((4, 4, 92, 60))
        assert difference.getextrema()[1] <= 4


def test_ten_bits_of_full_range_stay_so(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p10le"
        video.codec_context.color_range = 2
        for _ in range(3):
            frame = av.VideoFrame(48, 32, "yuv420p10le")
            for plane, value in zip(frame.planes, (1010, 512, 512), strict=True):
                plane.update(value.to_bytes(2, "little") * (plane.buffer_size // 2))
            frame.color_range = 2
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    for hevc in (False, True):
        upscale_video(tmp_path / "a.mp4", tmp_path / "out.mp4", Encoding(hevc=hevc), double)
        [first, *_] = frames(tmp_path / "out.mp4")
        assert (first.format.name, first.color_range) == ("yuv420p10le", 2)
        assert abs(int.from_bytes(bytes(first.planes[0])[:2], "little") - 1010) <= 3


def test_clips_too_small_for_x265_are_refused(tmp_path, make_clip):
    source = make_clip(tmp_path / "a.mp4", sound=None)
    with pytest.raises(InputRefused, match="64 a side"):
        upscale_video(source, tmp_path / "out.mp4", Encoding(hevc=True), lambda _size: (48, 64))


def luma(frame):
    plane = frame.planes[0]
    whole = Image.frombytes("L", (plane.line_size, plane.height), bytes(plane))
    return whole.crop((0, 0, frame.width, frame.height))


def test_a_varying_rate_keeps_its_times(tmp_path):
    stamps = [0, 100, 150, 900, 1000]
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for stamp in stamps:
            frame = av.VideoFrame(48, 32, "yuv420p")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    upscale_video(tmp_path / "a.mp4", tmp_path / "out.mp4", Encoding(), double)
    times = [frame.time for frame in frames(tmp_path / "out.mp4")]
    assert times == pytest.approx([stamp / 1000 for stamp in stamps], abs=1e-4)


def test_odd_sizes_become_even_and_quality_counts(tmp_path, make_clip):
    source = make_clip(tmp_path / "a.mp4", sound=None)
    size = upscale_video(source, tmp_path / "high.mp4", Encoding(quality="high"), lambda _size: (95, 63))
    assert size == (96, 64)
    upscale_video(source, tmp_path / "low.mp4", Encoding(quality="low"), double)
    assert (tmp_path / "low.mp4").stat().st_size < (tmp_path / "high.mp4").stat().st_size


def test_what_is_no_clip_is_refused(tmp_path, make_clip):
    (tmp_path / "cut.mp4").write_bytes(make_clip(tmp_path / "a.mp4").read_bytes()[:2000])
    for name in ("cut.mp4", "picture.png"):
        if name.endswith("png"):
            Image.new("RGB", (8, 8)).save(tmp_path / name)
            (tmp_path / name).write_bytes(b"nothing at all")
        with pytest.raises(InputRefused):
            upscale_video(tmp_path / name, tmp_path / "out.mp4", Encoding(), double)


async def test_a_clip_through_the_gateway(sandbox, client, host, make_clip, tmp_path):
    clip = make_clip(tmp_path / "a.mp4").read_bytes()
    url = await host(sandbox, clip, "video/mp4")
    status = await pixazo_status(
        sandbox, client, VIDEO, {"video_url": url, "upscale_factor": 2, "output_format": "H265 (.mp4)"}
    )
    assert status["output"]["media_type"] == "video/mp4"
    made = await client.get(status["output"]["media_url"][0])
    (tmp_path / "out.mp4").write_bytes(made.content)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)


async def test_factor_one_passes_a_clip_through_as_it_is(sandbox, client, host, make_clip, tmp_path):
    clip = make_clip(tmp_path / "a.mp4").read_bytes()
    url = await host(sandbox, clip, "video/mp4")
    status = await pixazo_status(sandbox, client, VIDEO, {"video_url": url, "upscale_factor": 1})
    assert (await client.get(status["output"]["media_url"][0])).content == clip
    avi = make_clip(tmp_path / "a.avi", codec="mjpeg", sound=None, full_range=True).read_bytes()
    url = await host(sandbox, avi, "video/avi")
    status = await pixazo_status(sandbox, client, VIDEO, {"video_url": url, "upscale_factor": 1})
    assert (await client.get(status["output"]["media_url"][0])).content[4:8] == b"ftyp"


async def test_a_failure_in_the_run_leaves_no_result(sandbox, client, input_url):
    sandbox.faults.add(Stage.RUN, fails("FAILED"))
    status = await pixazo_status(sandbox, client, "upscaler/v1/upscale", {"image": input_url})
    assert status["output"] is None
    async with httpx.AsyncClient(trust_env=False) as other:
        address = f"{sandbox.url}/results/v1/{status['request_id']}/output.png"
        assert (await other.get(address)).status_code == 404


@pytest.mark.skipif(
    int(av.__version__.partition(".")[0]) < 18,
    reason="this PyAV cannot write a rotation",
)
@pytest.mark.parametrize(("degrees", "turned"), [(90, 90), (180, 180), (-90, 270)])
def test_a_clip_that_is_shown_rotated_is_written_upright(tmp_path, photo, degrees, turned):
    source, target = tmp_path / "turned.mp4", tmp_path / "big.mp4"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = *photo.size, "yuv444p"
        stream.set_display_rotation(degrees)
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_image(photo)))
        out.mux(stream.encode(None))
    upright = photo.rotate(turned, expand=True)
    size = upscale_video(source, target, Encoding(), double)
    assert size == double(upright.size)
    with av.open(str(target)) as made:
        first = next(made.decode(video=0))
    assert first.rotation == 0
    difference = ImageChops.difference(first.to_image(), upright.resize(size, Image.Resampling.LANCZOS))
    assert ImageStat.Stat(difference).rms[1] < 12
