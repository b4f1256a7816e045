"""What is printed: one result an input on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TextIO

from ..errors import RemoteUpscaleError
from ..text import clean


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one input came to.

    Attributes:
        input: as the user wrote it, globs expanded.
        output: the result's file; ``None`` where there is none.
        model: the model's id.
        request_id: the provider's id of the job.
        reused: no new job was submitted.
        ordered: by whom, where not by this run; continues "ordered".
        sandbox: the embedded sandbox made it, at no cost.
        cost: US dollars, ``None`` when unknown.
        seconds: from start to finish.
        error: why it failed; ``None`` if it did not.
        notes: what the user should know about it, in sentences.
        planned: for a dry run the expected width and height in pixels, each ``None`` when unknown.
    """

    input: str
    output: str | None = None
    model: str
    request_id: str | None = None
    reused: bool = False
    ordered: str = ""
    sandbox: bool = False
    cost: Decimal | None = None
    seconds: float = 0.0
    error: RemoteUpscaleError | None = None
    notes: tuple[str, ...] = ()
    planned: tuple[int | None, int | None] | None = None

    def document(self) -> dict[str, object]:
        """As the JSON object of the outside contract."""
        document: dict[str, object] = {
            "input": self.input,
            "output": self.output,
            "model": self.model,
            "request_id": self.request_id,
            "state": "failed" if self.error else "completed",
            "reused": self.reused,
            "cost_usd": dollars(self.cost),
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }
        if self.error is not None:
            document["error"] = error_document(self.error)
        if self.planned is not None:
            document |= {"dry_run": True, "width": self.planned[0], "height": self.planned[1]}
        return document

    def sentence(self) -> str:
        """As a line for people."""
        if self.error is not None:
            return f"{self.input}: {self.error}"
        price = in_words(self.cost)
        facts = [f"made by the sandbox, {_otherwise(self.cost)}" if self.sandbox else price]
        if self.planned is not None:
            width, height = self.planned
            facts.insert(0, f"{width} × {height} pixels" if width else "size unknown")
        elif self.ordered:
            facts = [f"ordered {self.ordered}"]
        elif self.reused:
            facts = ["taken from an earlier job"]
        else:
            facts.append(f"{self.seconds:.1f} s")
        would = "would become" if self.planned is not None else "→"
        return f"{_shown(self.input)} {would} {_shown(self.output)} ({', '.join(facts)})"


class Printer:
    """Prints results, in JSON or for people.

    Args:
        json: whether standard output gets JSON; then it gets nothing else.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A lone surrogate (a file name that is not UTF-8) comes out as \udcff, which JSON can read.
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")

    def result(self, result: Result) -> None:
        """Print what an input came to; for people, its notes and its error go to standard error."""
        if self.json:
            self.document(result.document())
            return
        if result.error is None:
            self.line(result.sentence())
        else:
            tell(result.sentence())
        for note in result.notes:
            tell(f"{result.input}: {note}")

    def document(self, document: Mapping[str, object]) -> None:
        """Print a JSON object on a line."""
        self.line(json.dumps(document, ensure_ascii=False))

    def line(self, text: str) -> None:
        """Print a line on standard output."""
        _write(sys.stdout, text)


def tell(text: str) -> None:
    """Print a line on standard error, made safe for a terminal."""
    _write(sys.stderr, _shown(text))


def dollars(cost: Decimal | None) -> float | None:
    """A cost as a JSON number."""
    return None if cost is None else float(cost)


def in_words(cost: Decimal | None) -> str:
    """A cost for people."""
    return "cost unknown" if cost is None else f"${cost.normalize():f}"


def _otherwise(cost: Decimal | None) -> str:
    """What a job that the sandbox did would cost elsewhere."""
    return "elsewhere at an unknown cost" if cost is None else f"elsewhere {in_words(cost)}"


def error_document(error: RemoteUpscaleError) -> dict[str, str]:
    """An error as the JSON object of the outside contract."""
    return {"kind": error.kind.value, "message": error.message, "hint": error.hint}


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows with their columns aligned, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _shown(text: object) -> str:
    return clean(text, 4000)


def _write(stream: TextIO, text: str) -> None:
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        # The reader has gone (`| head`), or the disk that takes the output is full. Jobs that are paid for go
        # on, so this must not end the process.
        if error.errno not in {errno.EPIPE, errno.EINVAL} and stream is sys.stdout:  # EINVAL on Windows
            tell(f"The results cannot be printed: {error.strerror}. `remote-upscale jobs` lists them.")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
