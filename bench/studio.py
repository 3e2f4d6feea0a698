"""Measure the studio: from a slider's move to the picture, and twenty people at once.

python bench/studio.py [--photograph FACE.jpg] [--moves 50] [--people 20] [--seconds 60]

The photograph is resized to 1 megapixel. Printed are, first, of moves of a slider in a real
browser, one after another: the median and the 95th percentile of the time from the slider's event
until the new picture is decoded, and what it is made of: until the request leaves the browser; the
request, of which the parts that the server computes are timed by themselves in this process; and
from the answer to the decoded picture. Then people who each open the page and move a slider, wait
for the picture and for half to one and a half seconds, and move again: the moves answered and
failed, median and 95th percentile of the answers, and the memory of the server after every sixth
of the time.

Needs chromium and playwright.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
from PIL import Image

from ganim.model.animation.animator import Animator
from ganim.pipeline.action_units import COUNT
from ganim.studio.photograph import open_photograph
from ganim.studio.session import Session, to_jpeg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from studio_browser import Studio, Visitor, chromium, running

MOVE = """(value) => new Promise((done) => {
  const slider = document.querySelector("#au12 input[type=range]");
  const picture = document.querySelector(".stage .after");
  const before = performance.getEntriesByType("resource").length;
  const watch = new MutationObserver(async () => {
    watch.disconnect();
    const set = performance.now();
    await picture.decode();
    const end = performance.now();
    const request = performance.getEntriesByType("resource").slice(before)
      .find((entry) => entry.name.includes("/run/predict"));
    done([end - start, request.startTime - start, request.duration,
      end - request.responseEnd]);
  });
  watch.observe(picture, { attributes: true, attributeFilter: ["src"] });
  const start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""
"""In the browser: moves the slider of AU12, and returns milliseconds: from the move to the decoded
picture; to the request; of the request; from the answer to the decoded picture."""
_PIXELS = 1_000_000


@click.command(help=__doc__)
@click.option("--photograph", type=Path, default=Path("examples/astronaut.png"))
@click.option("--moves", default=50)
@click.option("--people", default=20)
@click.option("--seconds", default=60)
def main(photograph: Path, moves: int, people: int, seconds: int) -> None:
    """Measure one browser, then many people."""
    with tempfile.TemporaryDirectory() as folder:
        face = Path(folder) / "face.jpg"
        with Image.open(photograph) as picture:
            scale = (_PIXELS / (picture.width * picture.height)) ** 0.5
            size = round(picture.width * scale), round(picture.height * scale)
            picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(face, quality=95)
        if moves:
            _print_parts(face)
            with running(face) as studio:
                _move_in_browser(studio, moves)
        if people:
            with running(face) as studio:
                _at_once(studio, people, seconds)


def _print_parts(face: Path) -> None:
    animator = Animator()
    session = Session(animator, open_photograph(face.read_bytes(), face.name, animator))
    target = np.linspace(0.1, 0.7, COUNT).astype(np.float32)
    pixels = session.preview(target)
    whole = _median(lambda: session.preview(target))
    jpeg = _median(lambda: to_jpeg(pixels))
    print(f"the server computes: the picture {whole:.0f} ms, its JPEG {jpeg:.0f} ms")


def _median(work: Callable[[], object]) -> float:
    """Of 15 times, in milliseconds."""
    times = []
    for _ in range(15):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def _move_in_browser(studio: Studio, moves: int) -> None:
    with chromium() as browser:
        visitor = Visitor(browser, studio.address, viewport={"width": 1400, "height": 900})
        visitor.wait_for_picture()
        times = []
        for index in range(moves + 3):
            if index == 3:  # the first moves warm up
                used = _processor_seconds(studio.process.pid)
            value = ((index * 37) % 97) / 100
            times.append(visitor.page.evaluate(MOVE, str(value)))
            visitor.page.wait_for_timeout(150)
        used = _processor_seconds(studio.process.pid) - used
    parts = np.array(times[3:])
    rows = "from move to picture", "until the request", "the request", "from the answer"
    for name, column in zip(rows, parts.T, strict=True):
        p95 = np.percentile(column, 95)
        print(f"{name:<22} median {np.median(column):4.0f} ms, p95 {p95:4.0f} ms")
    print(f"processor time of the server a move: {1000 * used / moves:.0f} ms")


def _at_once(studio: Studio, people: int, seconds: int) -> None:
    config = httpx.get(studio.address + "/config", timeout=60).json()
    events = {
        event: dependency["id"]
        for dependency in config["dependencies"]
        for _, event in dependency["targets"]
        if event == "load" or (not dependency["queue"] and event == "input")
    }
    answers: list[float] = []
    failures: list[str] = []
    opened = threading.Barrier(people + 1)
    end = [0.0]

    def person() -> None:
        with httpx.Client(base_url=studio.address + "/gradio_api", timeout=120) as client:
            session = uuid.uuid4().hex
            try:
                _open(client, session, events["load"])
            finally:
                opened.wait()
            while time.monotonic() < end[0]:
                positions = [round(random.random(), 2) for _ in range(COUNT)]
                start = time.monotonic()
                answer = client.post(
                    "/run/predict",
                    json={
                        "data": [None, *positions],
                        "fn_index": events["input"],
                        "session_hash": session,
                    },
                )
                if answer.is_success and "data:image/jpeg" in answer.text:
                    answers.append(1000 * (time.monotonic() - start))
                else:
                    failures.append(answer.text[:200])
                time.sleep(random.uniform(0.5, 1.5))

    end[0] = time.monotonic() + 3600
    threads = [threading.Thread(target=person) for _ in range(people)]
    for thread in threads:
        thread.start()
    opened.wait()
    start = time.monotonic()
    end[0] = start + seconds
    memory = []
    for part in range(1, 7):
        time.sleep(max(0.0, start + part * seconds / 6 - time.monotonic()))
        memory.append(_megabytes(studio.process.pid))
    for thread in threads:
        thread.join()
    print(
        f"{people} people for {seconds} s: {len(answers)} moves answered, {len(failures)} failed; "
        f"median {np.median(answers):.0f} ms, p95 {np.percentile(answers, 95):.0f} ms, "
        f"most {max(answers):.0f} ms"
    )
    print(f"memory of the server in MB: {', '.join(map(str, memory))}")
    for failure in failures[:3]:
        print(failure)


def _open(client: httpx.Client, session: str, load: int) -> None:
    """Open the page as the browser does."""
    client.post(
        "/queue/join", json={"data": [], "fn_index": load, "session_hash": session}
    ).raise_for_status()
    with client.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                said: dict[str, Any] = json.loads(line[5:])
                if said["msg"] == "process_completed":
                    assert said["success"], said
                    return


def _processor_seconds(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
