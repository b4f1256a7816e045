"""The few words that derived parts of a page need, in each language."""

# ruff: noqa: RUF001 (Chinese punctuation resembles Latin)
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from remote_upscale.api_clients.parameters import either
from remote_upscale.api_clients.prices import ByChoice, PerJob, PerOutputMegapixel, Price, Unknown


@dataclass(frozen=True, kw_only=True)
class Words:
    """One language.

    Attributes:
        language: ComfyUI's code for it.
        types: names of kinds of widgets.
        flags: no and yes of a switch.
        sockets: what a socket is for, where the schema says nothing of it.
        also: joins a range and a value that stands beside it.
        only_with, not_with, required, optional: what is said of some parameters.
        model, takes, sizes, price, key, cancelling: heads of the list of facts.
        at_provider: a model's id and its provider.
        in_steps: of a number.
        any_size, most_bytes: limit of the input.
        times, pixels: ways to say a size.
        can_cancel, cannot_cancel: whether a provider takes jobs back.
        price_words: a price.
        sources: where a price is from, by the declaration's own words.
        default: what a new node has.
        either, space, comma, list_end, stop, colon, brackets: punctuation.
    """

    language: str
    types: Mapping[str, str]
    flags: tuple[str, str]
    sockets: Mapping[str, str]
    also: str
    only_with: str
    not_with: str
    required: str
    optional: str
    default: str
    model: str
    takes: str
    sizes: str
    price: str
    key: str
    cancelling: str
    at_provider: str
    in_steps: str
    any_size: str
    most_bytes: str
    times: str
    pixels: str
    can_cancel: str
    cannot_cancel: str
    price_words: Callable[[Price], str]
    sources: Mapping[str, str]
    either: Callable[[list[str]], str]
    space: str
    comma: str
    list_end: str
    stop: str
    colon: str
    brackets: tuple[str, str]


def _price_in_chinese(price: Price) -> str:
    match price:
        case Unknown():
            return "未知"
        case PerJob(dollars=dollars):
            return f"每张图像 ${dollars}"
        case PerOutputMegapixel(dollars=dollars):
            return f"每百万输出像素 ${dollars}"
        case ByChoice(dollars=dollars):
            return "、".join(f"{value} 倍 ${cost}" for value, cost in dollars.items())
        case _:
            raise TypeError(f"There are no Chinese words for {type(price).__name__}.")


def _either_in_chinese(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{'、'.join(words[:-1])} 或 {words[-1]}"


_AT_PIXAZO = "Pixazo publishes none for this model"
_CRYSTAL = "Pixazo's page lists the four prices; that they go with the four factors is most likely"
_AT_APIXO = "APIXO's page"
_AT_FAL = "fal's documentation, undated"

ENGLISH = Words(
    language="en",
    types={"String": "text", "Boolean": "on or off"},
    flags=("off", "on"),
    sockets={"video": "The clip.", "images": "The frames.", "audio": "Their sound."},
    also=", or ",
    only_with="Only with {0} = {1}.",
    not_with="Not used while {0} is set.",
    required="Required then.",
    optional="Optional.",
    default="default {0}",
    model="Model",
    takes="Input",
    sizes="Size of the result",
    price="Price",
    key="Key",
    cancelling="Taking a job back",
    at_provider="{0} at {1}",
    in_steps="{0}, in steps of {1}",
    any_size="no documented limit of the file's size",
    most_bytes="at most {0} MB",
    times="{0} times",
    pixels="{0} pixels a side",
    can_cancel="possible",
    cannot_cancel="not offered",
    price_words=lambda price: price.words,
    sources={_AT_PIXAZO: _AT_PIXAZO, _CRYSTAL: _CRYSTAL, _AT_APIXO: _AT_APIXO, _AT_FAL: _AT_FAL},
    either=either,
    space=" ",
    comma=", ",
    list_end="; ",
    stop=".",
    colon=": ",
    brackets=(" (", ")"),
)

CHINESE = Words(
    language="zh",
    types={"String": "文本", "Boolean": "开或关"},
    flags=("关", "开"),
    sockets={"video": "视频片段。", "images": "各帧图像。", "audio": "对应的声音。"},
    also="，或 ",
    only_with="仅当 {0} = {1} 时有效。",
    not_with="设置了 {0} 时不使用。",
    required="此时必填。",
    optional="可选。",
    default="默认 {0}",
    model="模型",
    takes="输入",
    sizes="结果尺寸",
    price="价格",
    key="密钥",
    cancelling="取消任务",
    at_provider="{1} 的 {0}",
    in_steps="{0}，步长 {1}",
    any_size="服务商未说明文件大小限制",
    most_bytes="最大 {0} MB",
    times="{0} 倍",
    pixels="每边 {0} 像素",
    can_cancel="支持",
    cannot_cancel="不支持",
    price_words=_price_in_chinese,
    sources={
        _AT_PIXAZO: "Pixazo 未公布此模型的价格",
        _CRYSTAL: "Pixazo 页面列出了四个价格；它们与四个倍数的对应关系是最可能的推断",
        _AT_APIXO: "来自 APIXO 页面",
        _AT_FAL: "来自 fal 文档，未注明日期",
    },
    either=_either_in_chinese,
    space="",
    comma="，",
    list_end="；",
    stop="。",
    colon="：",
    brackets=("（", "）"),
)
LANGUAGES = (ENGLISH, CHINESE)
