from pathlib import Path

import pytest
from remote_upscale.api_clients.cli.naming import (
    expand,
    is_folder,
    name_fetched,
    name_outputs,
    suffix_note,
    with_format,
)
from remote_upscale.api_clients.errors import InvalidParameter
from remote_upscale.api_clients.registry import find_model

IMAGE_3B = find_model("pixazo/seedvr2-3b-image")
IMAGE_7B = find_model("pixazo/seedvr2-7b-image")
SEAMLESS = find_model("fal/seedvr2-seamless")
VIDEO = find_model("pixazo/seedvr2-3b-video")
CRYSTAL = find_model("pixazo/crystal-image")


def texts(*words):
    return [source.text for source in expand(words)]


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_a_glob_is_expanded_in_order_and_to_files_only():
    touch("b.png", "a.png", "c.jpg", "d/e.png")
    Path("folder.png").mkdir()
    assert texts("*.png") == ["a.png", "b.png"]
    assert texts("**/*.png") == ["a.png", "b.png", str(Path("d/e.png"))]
    assert texts("?.jpg", "*.png") == ["c.jpg", "a.png", "b.png"]


def test_an_input_that_is_named_twice_is_one():
    touch("a.png", "b.png")
    assert texts("a.png", "*.png", "./a.png", "https://x.test/a.png", "https://x.test/a.png") == [
        "a.png",
        "b.png",
        "https://x.test/a.png",
    ]


def test_a_file_whose_name_looks_like_a_glob_is_that_file():
    touch("a[1].png", "a1.png")
    assert texts("a[1].png") == ["a[1].png"]


def test_a_glob_without_matches_is_an_input_that_failed():
    (source,) = expand(["*.tif"])
    assert source.text == "*.tif"
    assert source.error.kind == "invalid_input"
    assert "*.tif" in source.error.message


def test_a_missing_file_is_left_for_the_engine_to_judge():
    (source,) = expand(["no.png"])
    assert (source.where, source.error) == (Path("no.png"), None)


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    touch(tmp_path / "a.png")
    assert [source.where for source in expand(["~/*.png", "~/b.png"])] == [
        tmp_path / "a.png",
        tmp_path / "b.png",
    ]


def test_a_name_that_begins_with_a_tilde_is_a_name_like_any_other():
    touch("~cat.png", "~cat2.png", "~root")
    assert [source.where for source in expand(["~cat.png", "~cat*.png", "~root"])] == [
        Path("~cat.png"),
        Path("~cat2.png"),
        Path("~root"),
    ]
    assert names("~big.png", "~cat.png") == ["~big.png"]
    assert names("~out/", "~cat.png") == ["~out/~cat.png"]
    assert not is_folder("~nobody", 1)
    assert name_fetched("r-1", "~new.png", "png") == Path("~new.png")


def test_where_there_is_no_home_folder_a_tilde_is_told(monkeypatch):
    def nowhere(_path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    (source,) = expand(["~/a.png"])
    assert "no home folder" in source.error.message
    with pytest.raises(InvalidParameter, match="no home folder"):
        name_outputs([], "~/out/", ".png")


@pytest.mark.parametrize(
    ("target", "inputs", "folder"),
    [("there", 1, True), ("new", 1, False), ("new/", 1, True), ("new", 2, True), ("new.png", 1, False)],
)
def test_when_the_output_is_a_folder(target, inputs, folder):
    Path("there").mkdir()
    assert is_folder(target, inputs) is folder


def names(target, *words, suffix=".png"):
    return [path.as_posix() for path in name_outputs(expand(words), target, suffix)]


def test_results_in_a_folder_are_named_after_their_inputs():
    touch("a.jpg", "b.tar.png")
    assert names("out/", "a.jpg", "b.tar.png") == ["out/a.png", "out/b.tar.png"]
    assert names("out.webp", "a.jpg") == ["out.webp"]


def test_inputs_of_the_same_name_get_numbers_whatever_their_case():
    assert names("out/", "x/a.jpg", "y/A.png", "z/a.webp", "a (2).png") == [
        "out/a.png",
        "out/A (2).png",
        "out/a (3).png",
        "out/a (2) (2).png",
    ]


def test_no_result_takes_the_place_of_an_input():
    touch("a.png", "a (2).png")
    Path("link").symlink_to(".")
    assert names("./", "a.png") == ["a (2).png"]
    assert names("link/", "a.png", "a (2).png") == ["link/a (3).png", "link/a (2) (2).png"]
    with pytest.raises(InvalidParameter, match="is the input itself"):
        names("link/a.png", "a.png")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x.test/in/photo.jpeg?sig=1.2#a", "photo.png"),
        ("https://x.test/a%2Fb%3A%20c.jpg", "b_ c.png"),
        ("https://x.test/", "result.png"),
        ("https://x.test", "result.png"),
        ("https://x.test/..%00", "result.png"),
        ("https://x.test/..", "result.png"),
        ("https://x.test/a%00%1b[2Jb.jpg", "a__[2Jb.png"),
    ],
)
def test_results_of_urls_are_named_after_the_last_part(url, name):
    assert names("out/", url) == [f"out/{name}"]


@pytest.mark.parametrize(
    ("model", "given", "target", "wanted"),
    [
        (IMAGE_3B, {}, "a.jpg", {"output_format": "jpg"}),
        (IMAGE_3B, {}, "a.JPEG", {"output_format": "jpg"}),
        (IMAGE_7B, {"seed": 3}, "a.jpg", {"seed": 3, "output_format": "jpeg"}),
        (SEAMLESS, {}, "a.jpg", {"output_format": "jpeg"}),
        (IMAGE_3B, {}, "a.webp", {"output_format": "webp"}),
        (IMAGE_3B, {}, "a.png", {}),
        (IMAGE_3B, {}, "a.tif", {}),
        (IMAGE_3B, {}, "a", {}),
        (IMAGE_3B, {"output_format": "jpg"}, "a.jpeg", {"output_format": "jpg"}),
        (IMAGE_3B, {"output_format": "jpg"}, "a", {"output_format": "jpg"}),
        (VIDEO, {}, "a.mp4", {}),
        (VIDEO, {"output_format": "H265 (.mp4)"}, "a.mp4", {"output_format": "H265 (.mp4)"}),
        (CRYSTAL, {"scale_factor": 2}, "a.webp", {"scale_factor": 2}),
    ],
)
def test_the_name_of_the_output_chooses_the_format(model, given, target, wanted):
    assert with_format(model, given, target) == wanted


def test_a_name_and_a_format_that_disagree_are_refused():
    with pytest.raises(InvalidParameter) as caught:
        with_format(IMAGE_3B, {"output_format": "webp"}, "out/a.png")
    assert "output_format is webp" in caught.value.message
    assert "a.png" in caught.value.message
    assert "a.webp" in caught.value.hint


def test_a_name_unlike_the_content_is_noted():
    assert suffix_note(Path("a.png"), "png") is None
    assert suffix_note(Path("a.JPG"), "jpeg") is None
    assert (
        suffix_note(Path("b.webp"), "png") == "The result is a png file, although its name ends differently."
    )


def test_formats_have_their_article():
    assert suffix_note(Path("b.mov"), "mp4").startswith("The result is an mp4 file")


def test_a_fetched_result_is_named_after_its_request_id():
    Path("there").mkdir()
    assert name_fetched("upscaler_1-a", "there", "png") == Path("there/upscaler_1-a.png")
    assert name_fetched("a:b/..\\c~", "new/", "jpeg") == Path("new/a_b_.._c_.jpg")
    assert name_fetched("...", "new/", "mp4") == Path("new/result.mp4")
    assert name_fetched("upscaler_1", "new.png", "jpeg") == Path("new.png")
