"""Results of a batch in one tensor, and pictures scaled into it."""

import pytest
import torch
from remote_upscale.api_clients.errors import BadResponse
from remote_upscale.nodes.media.batches import ResultBatch
from remote_upscale.nodes.media.enlarge import enlarge_into


def test_results_are_put_where_the_batch_is():
    batch = ResultBatch(3, channels=3)
    assert batch.size is None
    pictures = torch.rand(3, 4, 5, 3)
    for number in (2, 0, 1):
        batch.row(number, 4, 5).copy_(pictures[number])
    assert batch.size == (4, 5)
    assert torch.equal(batch.whole(), pictures)
    assert batch.row(1, 4, 5).data_ptr() == batch.whole()[1].data_ptr()


def test_results_of_different_sizes_say_which():
    batch = ResultBatch(5, channels=4)
    for number, size in enumerate([(4, 6), (4, 5), (4, 5), (4, 5), (8, 5)]):
        assert batch.row(number, *size).shape == (*size, 4)
    with pytest.raises(BadResponse) as caught:
        batch.whole()
    assert "differ in size: 3 of 5 are 5 x 4 with 4 channels" in caught.value.message
    assert "picture 1 is 6 x 4 with 4 channels, picture 5 is 5 x 8" in caught.value.message


def test_many_different_sizes_are_not_all_named():
    batch = ResultBatch(20, channels=3)
    for number in range(20):
        batch.row(number, 1 + number, 4)
    with pytest.raises(BadResponse, match=r"picture 9 is .*, 11 more differ"):
        batch.whole()


def test_nothing_is_no_batch():
    with pytest.raises(BadResponse):
        ResultBatch(2, channels=3).whole()


@pytest.mark.parametrize("size", [(9, 11), (20, 30), (4, 5)], ids=["the same", "larger", "smaller"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_is_scaled_into_its_row(size, channels):
    source = torch.rand(9, 11, channels) * 2 - 0.5
    source[0, 0, 0], source[0, 1, 0], source[0, 2, 0] = float("nan"), float("inf"), float("-inf")
    before = source.clone()
    row = ResultBatch(1, channels).row(0, *size)
    enlarge_into(source, row)
    assert torch.equal(source.nan_to_num(), before.nan_to_num())
    assert 0 <= float(row.min()) <= float(row.max()) <= 1
    if size == (9, 11):
        assert torch.equal(row, before.nan_to_num(nan=0, posinf=1, neginf=0).clamp(0, 1))
    assert float(row.mean()) == pytest.approx(float(before.nan_to_num(0, 1, 0).clamp(0, 1).mean()), abs=0.05)
