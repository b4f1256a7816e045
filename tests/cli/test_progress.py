import os
import re
import select
import signal
import subprocess
from contextlib import suppress

import pyte
import pytest
from faults import state

MODEL = "fal/seedvr2-image"

pty = pytest.importorskip("pty")


def on_terminal(start, *words):
    """Run the command with standard error on a terminal; standard output, what the terminal got, status."""
    ours, theirs = pty.openpty()
    process = start(*words, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    while True:
        select.select([ours], [], [], 30)
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    return out, shown.decode(), process.returncode


def test_a_terminal_gets_live_bars(start, remote, picture, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    picture("a.png")
    picture("b.png")
    remote.faults.add("status", state("IN_QUEUE"), times=4)  # long enough to be seen
    out, shown, status = on_terminal(start, "run", MODEL, "a.png", "b.png", "-o", "out")
    assert status == 0
    assert "\x1b[" in shown
    for word in ("a.png", "b.png", "queued", "total", "of 2 done", "0:00:0"):
        assert word in shown
    assert "━" in shown
    assert [line.split(" ")[0] for line in out.splitlines()] == ["a.png", "b.png"]
    assert "\x1b" not in out


def test_no_result_is_wiped_by_the_bars(start, remote, picture, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    names = [picture(f"{number}.png").name for number in range(5)]
    ours, theirs = pty.openpty()
    process = start("run", MODEL, *names, "-o", "out", stderr=theirs, stdout=theirs)
    os.close(theirs)
    screen = pyte.Screen(200, 24)
    terminal = pyte.ByteStream(screen)
    with suppress(OSError):  # the other side is closed
        while piece := os.read(ours, 65536):
            terminal.feed(piece)
    os.close(ours)
    process.wait(30)
    lines = [line.split(" ")[0] for line in screen.display if line.strip()]
    assert lines == names


def test_an_interrupt_leaves_no_bar_behind(start, remote, picture, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    remote.faults.add("status", state("IN_PROGRESS"), times=None)
    picture("a.png")
    picture("b.png")
    ours, theirs = pty.openpty()
    process = start("run", MODEL, "a.png", "b.png", "-o", "out", stderr=theirs, stdout=theirs)
    os.close(theirs)
    screen = pyte.Screen(200, 24)
    terminal = pyte.ByteStream(screen)
    stopped = False
    with suppress(OSError):  # the other side is closed
        while piece := os.read(ours, 65536):
            terminal.feed(piece)
            if not stopped and sum("running" in line for line in screen.display) == 2:
                stopped = True
                process.send_signal(signal.SIGINT)
    os.close(ours)
    assert process.wait(30) == 130
    lines = [line for line in screen.display if line.strip()]
    assert lines[0].startswith("Stopping.")
    assert [line.split(":")[0] for line in lines[1:] if ".png" in line] == ["a.png", "b.png"]
    assert not any("total" in line or "━" in line for line in lines)


def test_no_color_means_no_color(start, remote, picture, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    _, shown, status = on_terminal(start, "run", MODEL, picture(), "-o", "out.png")
    assert status == 0
    assert "photo.png" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", shown)


def test_a_terminal_that_can_nothing_gets_plain_lines(start, remote, picture, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    _, shown, status = on_terminal(start, "run", MODEL, picture(), "-o", "out.png")
    assert status == 0
    assert "\x1b" not in shown
    assert "photo.png: queued" in shown


def test_json_gets_no_progress_even_on_a_terminal(start, remote, picture):
    out, shown, status = on_terminal(start, "run", MODEL, picture(), "-o", "out.png", "--json")
    assert (status, shown) == (0, "")
    assert out.startswith('{"input": "photo.png"')


def test_a_pipe_gets_a_line_for_each_stage(start, remote, picture):
    picture("a.png")
    picture("b.png")
    process = start("run", MODEL, "a.png", "b.png", "-o", "out")
    _, err = process.communicate(timeout=30)
    lines = err.splitlines()
    for name in ("a.png", "b.png"):
        mine = [line.partition(": ")[2].partition(",")[0] for line in lines if line.startswith(name)]
        assert mine[:2] == ["hosting", "queued"]
        assert mine[-1] == "fetching"
        assert len(mine) == len(set(mine))
    assert "\r" not in err
    assert "\x1b" not in err
