"""The studio in a browser: a mix of expressions, camera, masks, and the tabs Drive and Train."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser
from PIL import Image
from studio_browser import Studio, Visitor, chromium, pixels, running

from ganim.model.networks.renderer import SHIPPED
from ganim.pipeline.action_units import COUNT, NUMBERS
from ganim.pipeline.expressions import expression_aus
from ganim.pipeline.images import video
from ganim.studio.mixing import Mixing

pytest.importorskip("gradio", reason="needs the extra: pip install 'ganim[studio]'")
pytestmark = [needs_browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, as a training in its second epoch has it."""
    folder = tmp_path_factory.mktemp("studio") / "run"
    (folder / "grids").mkdir(parents=True)
    Image.new("RGB", (64, 32), "teal").save(folder / "grids" / "epoch-0001.png")
    log(folder, iteration=12, epoch=0.5, reconstruction=0.38, moved=0.39, copy=0.4)
    log(folder, iteration=23, epoch=1.0, reconstruction=0.36, moved=0.37, copy=0.4)
    return folder


def log(run: Path, **entry: float) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")


@pytest.fixture(scope="module")
def studio(astronaut_path: Path, run: Path) -> Iterator[Studio]:
    with running(astronaut_path, "--run", run) as studio:
        yield studio


@pytest.fixture(scope="module")
def camera(astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a camera sees that looks at the astronaut, as Chromium takes it: a Y4M file."""
    picture = Image.fromarray(astronaut).convert("YCbCr")
    y, *colours = picture.split()
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    planes = y.tobytes() + b"".join(plane.reduce(2).tobytes() for plane in colours)
    path.write_bytes(b"YUV4MPEG2 W512 H512 F20:1 Ip A1:1 C420jpeg\nFRAME\n" + planes)
    return path


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[object]:
    with chromium(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ) as browser:
        yield browser


def test_a_slider_goes_from_one_expression_to_another(visitor: Visitor) -> None:
    first, own = visitor.shown, visitor.positions()
    visitor.page.get_by_text("Between two expressions").click()
    visitor.page.locator("#to input").click()
    visitor.page.get_by_role("option", name="Angry", exact=True).click()
    alpha = visitor.page.locator("#alpha input[type=range]")
    alpha.fill("0.5")
    half = visitor.wait_for_picture(other_than=first)
    assert visitor.slider(4).input_value() == "0.32", "half of the frown of an angry face"
    alpha.fill("0")
    assert visitor.wait_for_picture(other_than=half) == first
    assert visitor.positions() == own


def test_a_mix_is_the_share_of_both() -> None:
    own = np.linspace(0, 1, COUNT).astype(np.float32)
    happy = expression_aus("happy")
    happy[NUMBERS.index(45)] = own[NUMBERS.index(45)]
    mixed = Mixing.target(own, "As in the photograph", "Happy", 0.25)
    np.testing.assert_allclose(mixed, 0.75 * own + 0.25 * happy, atol=1e-6)
    assert np.array_equal(Mixing.target(own, "As in the photograph", "Happy", 0), own)


def test_the_camera_gives_a_photograph(visitor: Visitor, studio: Studio) -> None:
    first = visitor.shown
    visitor.page.get_by_role("button", name="Camera").click()
    visitor.page.locator("#camera button", has_text="Access Webcam").click()
    playing = "document.querySelector('#camera video')?.currentTime > 0.5"
    visitor.page.wait_for_function(playing)  # its first pictures are black
    visitor.page.get_by_label("capture photo").click()
    visitor.wait_for_status("one face.")
    taken = visitor.wait_for_picture(other_than=first)
    assert pixels(taken).shape[0] > 200
    assert studio.uploads == []


def test_a_clip_drives_the_face_and_can_be_cancelled(visitor: Visitor, tmp_path: Path) -> None:
    """The driver is the CSV of a face that closes its eyes."""
    visitor.page.get_by_role("tab", name="Drive").click()
    visitor.page.click("#follow")
    said = visitor.page.locator("#drive-status")
    said.filter(has_text="Choose a clip, or record one.").wait_for()
    driver = visitor.page.locator("#driver input[type=file]")
    driver.set_input_files(openface(tmp_path / "long.csv", 1500))
    visitor.page.locator("#driver .file-preview", has_text="long").wait_for()
    visitor.page.click("#follow")
    visitor.page.get_by_text("Drawing pictures").wait_for()
    visitor.page.click("#cancel")
    said.filter(has_text="Cancelled.").wait_for()

    visitor.page.locator("#driver").get_by_label("Clear").click()
    driver.set_input_files(openface(tmp_path / "blink.csv", 12))
    visitor.page.locator("#driver .file-preview", has_text="blink").wait_for()
    visitor.page.click("#follow")
    said.filter(has_text="astronaut-animated.mp4: 12 pictures.").wait_for()
    address = visitor.page.locator("#driven video").get_attribute("src") or ""
    made = visitor.context.request.get(address)
    assert made.ok
    clip = tmp_path / "made.mp4"
    clip.write_bytes(made.body())
    frames = [frame.pixels.astype(int) for frame in video.frames(clip)]
    assert len(frames) == 12
    eyes, below = np.s_[95:120, 200:255], np.s_[300:400]
    change = np.abs(frames[0] - frames[-1])
    assert change[eyes].mean() > 5 * change[below].mean()


def test_one_can_cancel_while_others_are_served(
    visitor: Visitor, studio: Studio, browser, tmp_path: Path
) -> None:
    other = Visitor(browser, studio.address)
    other.wait_for_picture()
    follow(other, openface(tmp_path / "long.csv", 1500))
    other.page.get_by_text("Drawing pictures").wait_for()
    with visitor.page.expect_response(lambda response: "/queue/join" in response.url):
        follow(visitor, openface(tmp_path / "blink.csv", 12))
    visitor.page.click("#cancel")
    said = "#drive-status"
    visitor.page.locator(said, has_text="Cancelling …").wait_for()
    other.page.click("#cancel")
    other.page.locator(said, has_text="Cancelled.").wait_for()
    visitor.page.locator(said, has_text="Cancelled.").wait_for()
    other.close()


def give(visitor: Visitor, driver: Path) -> None:
    visitor.page.get_by_role("tab", name="Drive").click()
    visitor.page.locator("#driver input[type=file]").set_input_files(driver)
    visitor.page.locator("#driver .file-preview", has_text=driver.stem).wait_for()


def follow(visitor: Visitor, driver: Path) -> None:
    """Let a file drive the face."""
    give(visitor, driver)
    visitor.page.click("#follow")


def test_a_recorded_clip_is_played_and_drives_the_face_until_another_is_given(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.page.get_by_role("tab", name="Drive").click()
    visitor.page.get_by_text("Record a clip").click()
    visitor.page.locator("#recording button", has_text="Access Webcam").click()
    button = visitor.page.get_by_label("start recording")
    button.click()
    visitor.page.wait_for_timeout(1500)
    button.click()
    visitor.page.wait_for_function("document.querySelector('#recording video')?.readyState >= 2")
    visitor.page.click("#follow")
    said = visitor.page.locator("#drive-status")
    said.filter(has_text="astronaut-animated.mp4: ").wait_for()
    assert "playable" not in visitor.page.content()

    give(visitor, openface(tmp_path / "blink.csv", 12))
    visitor.page.locator("#recording video[src]").wait_for(state="detached")  # the latest drives
    visitor.page.click("#follow")
    said.filter(has_text="astronaut-animated.mp4: 12 pictures.").wait_for()


def openface(path: Path, count: int) -> Path:
    """Write a CSV of FeatureExtraction of a face that closes its eyes; return its path."""
    columns = [f"AU{number:02d}_r" for number in NUMBERS]
    lines = [", ".join(["frame", "face_id", "timestamp", "confidence", "success", *columns])]
    for frame in range(count):
        closed = 4.0 * frame / (count - 1)
        aus = [f"{closed if number == 45 else 0.0:.2f}" for number in NUMBERS]
        lines.append(", ".join([str(frame + 1), "0", f"{frame / 25:.3f}", "0.98", "1", *aus]))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_training_is_shown_live_and_its_newest_weights_are_tried(
    visitor: Visitor, run: Path, tmp_path: Path, astronaut_path: Path
) -> None:
    visitor.slider(26).fill("0.9")
    dropped = visitor.wait_for_picture(other_than=visitor.shown)
    visitor.page.get_by_role("tab", name="Train").click()
    said = visitor.page.locator("#run")
    said.filter(has_text="run: iteration 23, epoch 1.00.").wait_for()
    visitor.page.get_by_text("Distance from the target, pairs").wait_for()
    assert visitor.page.locator("#grids img").count() == 1

    log(run, iteration=46, epoch=2.0, reconstruction=0.3, moved=0.35, copy=0.4)
    Image.new("RGB", (64, 32), "navy").save(run / "grids" / "epoch-0002.png")
    said.filter(has_text="run: iteration 46, epoch 2.00.").wait_for()
    newest = visitor.page.locator("#grids img").first
    assert newest.get_attribute("alt") == "Faces at the end of epoch 0002"

    visitor.page.click("#newest")
    said.filter(has_text="run holds no weights yet").wait_for()
    shutil.copy(SHIPPED, run / "generator.safetensors")
    visitor.page.click("#newest")
    said.filter(has_text="The first tab uses generator.safetensors of").wait_for()
    visitor.page.get_by_role("tab", name="Face").click()
    assert visitor.shown == dropped, "the same weights make the same picture"
    assert visitor.slider(26).input_value() == "0.9"
    weights = f" --weights {run / 'generator.safetensors'}"
    assert visitor.text("#command textarea").endswith(weights)

    visitor.give("next.png", astronaut_path.read_bytes())
    visitor.wait_for_status("next.png: one face.")
    visitor.slider(26).fill("0.9")
    visitor.wait_for_picture(other_than=visitor.given)
    assert visitor.text("#command textarea").endswith(weights), "also for the next photograph"
    follow(visitor, openface(tmp_path / "blink.csv", 2))
    visitor.page.locator("#drive-status", has_text="next-animated.mp4: 2 pictures.").wait_for()
    told = visitor.text("#drive-command textarea")
    assert told == "ganim animate next.png --drive blink.csv -o next-animated.mp4" + weights


def test_the_panel_follows_the_picture_while_it_is_open(visitor: Visitor) -> None:
    first = visitor.shown
    assert visitor.page.locator("#inside img").count() == 0
    visitor.page.get_by_text("How it was made, and how it reads").click()
    visitor.page.get_by_text("Identity distance 0.00").wait_for()
    visitor.slider(12).fill("0")
    visitor.wait_for_picture(other_than=first)
    said = visitor.page.locator("#identity", has_text=re.compile(r"distance 0\.[1-9]"))
    said.wait_for()
    row = visitor.page.locator("#readings [role=row]", has_text="AU12 lip corner puller")
    _, before, asked, read = row.locator("[role=gridcell]").all_inner_texts()
    assert float(before) > 0.5 and float(asked) == 0 and float(read) < 0.4

    titles = visitor.page.locator("#inside img").evaluate_all("all => all.map(i => i.alt)")
    assert [title.split(".")[0] for title in titles] == [
        "Attention mask", "Colour mask", "Motion field",
    ]  # fmt: skip
    arrows = visitor.page.locator("#inside img").last
    asked_for = arrows.get_attribute("src") or ""
    visitor.page.locator("#arrows input").click()
    visitor.page.get_by_role("option", name="AU1 inner brow raiser, by 1").click()
    visitor.page.get_by_text("Motion of AU1 inner brow raiser, by 1").wait_for()
    assert not np.array_equal(pixels(arrows.get_attribute("src") or ""), pixels(asked_for))
    assert "Traceback" not in visitor.page.content()
