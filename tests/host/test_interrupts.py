"""Interrupts, siblings that fail, and a ComfyUI that is stopped in the middle; nothing paid is lost."""

from __future__ import annotations

import signal
import time

import faults as faulty
import pytest
from comfyui_graphs import CRYSTAL, SEEDVR2, draw
from comfyui_listener import listening
from comfyui_server import nodes, serve, text_of
from remote_upscale.api_clients.ledger import JobState, Ledger
from remote_upscale.api_clients.sandbox import Delays
from remote_upscale.api_clients.settings import Settings

PIXAZO, FAL = "RemoteUpscalePixazoCrystalImage", "RemoteUpscaleFalSeedVR2Image"


def one(picture, node=PIXAZO, widgets=CRYSTAL):
    return nodes(
        load=("LoadImage", {"image": f"{picture}.png"}),
        up=(node, {"image": ("load", 0), **widgets}),
        report=("PreviewAny", {"source": ("up", 1)}),
    )


def wait_for(condition, what):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def asked_for(provider):
    """Whether ComfyUI has the latest job's id."""
    return any(provider.jobs[-1].request_id in request.path for request in provider.requests)


def words_of(listener):
    return [text for _, text in listener.texts]


def test_an_interrupt_cancels_at_the_provider_and_says_so(comfyui, provider, charged):
    draw(comfyui, "given up at fal")
    provider.delays = Delays(queue=0, run=600)
    with listening(comfyui.url) as listener:
        prompt = comfyui.queue(one("given up at fal", FAL, SEEDVR2), listener.client)
        wait_for(lambda: charged() and "queued at place 1" in words_of(listener), "it is there")
        comfyui.http.post("/interrupt")
        assert comfyui.wait(prompt).status == "interrupted"
        wait_for(lambda: any("Cancelled at fal" in text for text in words_of(listener)), "it is told")
    assert words_of(listener).index("interrupted") < len(words_of(listener)) - 1
    assert any(request.path.endswith("/cancel") for request in provider.requests)


def test_where_nothing_can_be_cancelled_that_is_said_and_the_job_kept(comfyui, provider, charged):
    draw(comfyui, "goes on")
    provider.faults.add("status", faulty.state("PROCESSING"), times=None)
    with listening(comfyui.url) as listener:
        prompt = comfyui.queue(one("goes on"), listener.client)
        wait_for(charged, "it is sent")
        comfyui.http.post("/interrupt")
        assert comfyui.wait(prompt).status == "interrupted"
        wait_for(lambda: any("cannot cancel" in text for text in words_of(listener)), "it is told")
    provider.faults.clear()
    ended = comfyui.run(one("goes on"))
    assert ended.status == "success", ended.error
    assert text_of(ended, "report")["jobs"][0]["reused"] is True
    assert charged() == 1


def test_a_siblings_failure_stops_a_node_and_its_job_is_kept(comfyui, provider, charged):
    draw(comfyui, "patient")
    draw(comfyui, "failing")
    provider.faults.add("status", faulty.state("PROCESSING"), times=None, provider="pixazo")
    provider.faults.add("status", faulty.state("IN_PROGRESS"), times=2, provider="fal")
    provider.faults.add("run", faulty.fails("content_policy_violation"), provider="fal")
    sibling = nodes(
        load2=("LoadImage", {"image": "patient.png"}),
        up2=(PIXAZO, {"image": ("load2", 0), **CRYSTAL}),
        report2=("PreviewAny", {"source": ("up2", 1)}),
    )
    ended = comfyui.run({**one("failing", FAL, SEEDVR2), **sibling})
    assert ended.status == "error"
    assert ended.error["node_id"] == "up"
    provider.faults.clear()
    again = comfyui.run(sibling)
    assert again.status == "success", again.error
    assert text_of(again, "report2")["jobs"][0]["reused"] is True
    assert charged() == 2


def test_a_restart_in_the_middle_takes_the_job_up_again(comfyui, tmp_path, provider, environment, charged):
    base = tmp_path / "restarted"
    provider.faults.add("status", faulty.state("PROCESSING"), times=None)
    with serve(base, environment) as first:
        draw(first, "restart")
        first.queue(one("restart"))
        wait_for(lambda: charged() and asked_for(provider), "its state was asked for")
        first.kill()
    provider.faults.clear()
    with serve(base, environment) as second:
        ended = second.run(one("restart"))
    assert ended.status == "success", ended.error
    assert text_of(ended, "report")["jobs"][0]["reused"] is True
    assert charged() == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_comfyui_that_is_stopped_cancels_and_settles(tmp_path, provider, environment, charged, number):
    base = tmp_path / "stopped"
    provider.delays = Delays(queue=0, run=600, told=False)
    with serve(base, environment) as comfyui:
        draw(comfyui, "stopped")
        comfyui.queue(one("stopped", FAL, SEEDVR2))
        wait_for(lambda: charged() and asked_for(provider), "its state was asked for")
        comfyui.send_signal(number)
        comfyui.wait_for_end(30)
        log = comfyui.log
    request_id = provider.jobs[-1].request_id
    assert any(request.path.endswith(f"{request_id}/cancel") for request in provider.requests), log[-3000:]
    ledger = Ledger(Settings(home=base / "user" / "__remote_upscale").ledger_place)
    try:
        [row] = ledger.jobs()
    finally:
        ledger.close()
    assert (row.state, row.owner, row.request_id) == (JobState.CANCELLED, None, request_id)


def test_text_goes_to_the_client_that_queued_the_prompt(comfyui):
    draw(comfyui, "whispered")
    with listening(comfyui.url) as mine, listening(comfyui.url) as other:
        ended = comfyui.wait(comfyui.queue(one("whispered"), mine.client))
        assert ended.status == "success", ended.error
        wait_for(lambda: any(text.startswith("done: $0.07") for text in words_of(mine)), "it is told")
    assert other.texts == []
    assert {node for node, _ in mine.texts} == {"up"}


@pytest.mark.parametrize("reused", [False, True])
def test_the_last_words_say_what_it_cost(comfyui, reused):
    draw(comfyui, "priced")
    with listening(comfyui.url) as listener:
        comfyui.http.post("/free", json={"unload_models": False, "free_memory": True})
        ended = comfyui.wait(comfyui.queue(one("priced"), listener.client))
        assert ended.status == "success", ended.error
        expected = "done: reused" if reused else "done: $0.07, "
        wait_for(lambda: any(text.startswith(expected) for text in words_of(listener)), expected)
