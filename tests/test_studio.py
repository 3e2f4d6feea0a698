"""`ganim studio`: its page in a real browser, and what its server hands out."""

import io
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser
from PIL import Image
from studio_browser import WAIT, Studio, Visitor, chromium, pixels, running

from ganim.model.animation.animator import Animator
from ganim.model.animation.networks import Networks
from ganim.model.networks.generator import Generator, GeneratorSettings
from ganim.model.networks.torch_renderer import TorchRenderer
from ganim.pipeline.action_units import COUNT, NUMBERS, Edit
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.expressions import Request, expression_aus
from ganim.pipeline.images import video
from ganim.studio.photograph import open_photograph
from ganim.studio.server import host_and_port, listen, temporary_folder
from ganim.studio.session import Session
from ganim.studio.shown import shown_expressions
from ganim.studio.sliders import GROUPS, HELP, command, edits, positions_of

pytest.importorskip("gradio", reason="needs the extra: pip install 'ganim[studio]'")


def to_png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def studio(astronaut_path: Path) -> Iterator[Studio]:
    with running(astronaut_path) as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def two_faces(astronaut: np.ndarray) -> np.ndarray:
    """The astronaut, and Grace Hopper beside her."""
    with Image.open(Path(__file__).parents[1] / "examples" / "grace_hopper.jpg") as picture:
        hopper = np.asarray(picture.convert("RGB").resize((380, 450)))
    both = np.full((512, 892, 3), 128, np.uint8)
    both[:, :512], both[:450, 512:] = astronaut, hopper
    return both


@needs_browser
@pytest.mark.slow
def test_a_slider_moves_its_part_of_the_face_and_reset_brings_back_the_very_same_picture(
    visitor: Visitor,
) -> None:
    own, first = visitor.positions(), visitor.shown
    assert first == visitor.given
    assert len(own) == COUNT and max(own) > 0.3, "the face smiles, and the sliders show it"

    visitor.slider(12).fill("0")
    calm = visitor.wait_for_picture(other_than=first)
    difference = np.abs(pixels(calm).astype(int) - pixels(first)).sum(2)
    mouth, above, elsewhere = difference[140:165, 200:245], difference[60:95], difference[300:]
    assert mouth.mean() > 10
    assert mouth.mean() > 5 * above.mean()
    assert elsewhere.max() == 0

    assert visitor.text("#command textarea") == "ganim animate astronaut.png --au 12=0.00"
    visitor.page.click("#randomize")
    drawn = visitor.wait_for_picture(other_than=calm)
    known = [positions_of(aus) for aus in shown_expressions()]
    in_order = [number for numbers in GROUPS.values() for number in numbers]
    places = [in_order.index(number) for number in NUMBERS]
    assert [visitor.positions()[place] for place in places] in known

    visitor.page.click("#reset")
    assert visitor.wait_for_picture(other_than=drawn) == first
    assert visitor.positions() == own
    assert {url.split("/")[2] for url in visitor.requests if url.startswith("http")} == {
        visitor.page.url.split("/")[2]
    }, "nothing is asked of another server"


@needs_browser
@pytest.mark.slow
def test_downloads_are_what_the_command_makes_and_animations_that_lead_to_it(
    visitor: Visitor, astronaut_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.page.click("#save-gif")
    visitor.wait_for_status("Nothing moves yet: move a slider first.")
    first = visitor.shown
    visitor.slider(45).fill("0.8")
    visitor.wait_for_picture(other_than=first)

    picture = visitor.download("#save-png", tmp_path)
    assert picture.name == "astronaut-animated.png"
    command = visitor.text("#command textarea").split()
    assert command == ["ganim", "animate", "astronaut.png", "--au", "45=0.80"]
    lines = visitor.page.inner_text("#python .cm-content")
    (tmp_path / "astronaut.png").symlink_to(astronaut_path)
    saved = picture.read_bytes()
    monkeypatch.chdir(tmp_path)
    exec(lines)
    assert picture.read_bytes() == saved, "the lines write the same picture under the same name"

    with Image.open(visitor.download("#save-gif", tmp_path)) as moving:
        assert moving.n_frames == 24 and moving.size == (512, 512)
        assert mean_difference(moving, pixels(first)) < 8
        moving.seek(23)
        assert mean_difference(moving, pixels(visitor.shown)) < 8
    clip = visitor.download("#save-mp4", tmp_path)
    frames = [frame.pixels for frame in video.frames(clip)]
    assert len(frames) == 24
    assert mean_difference(frames[0], pixels(first)) < 4
    assert mean_difference(frames[23], pixels(visitor.shown)) < 4
    assert mean_difference(frames[23], pixels(first)) > 16


@needs_browser
@pytest.mark.slow
def test_on_a_phone_the_picture_stays_in_view_while_sliders_are_moved(
    studio: Studio, browser
) -> None:
    size = {"width": 390, "height": 844}
    phone = Visitor(browser, studio.address, viewport=size, is_mobile=True, has_touch=True)
    first = phone.wait_for_picture()
    phone.slider(26).scroll_into_view_if_needed()
    phone.slider(26).fill("0.9")
    phone.wait_for_picture(other_than=first)
    picture, slider = (
        found.bounding_box() for found in (phone.page.locator(".stage .after"), phone.slider(26))
    )
    assert picture is not None and slider is not None
    assert picture["y"] >= 0 and picture["y"] + picture["height"] < slider["y"] < 844
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    phone.close()


def mean_difference(a: object, b: np.ndarray) -> float:
    """The mean difference of two pictures around the astronaut's eyes, in levels."""
    rgb = np.asarray(a.convert("RGB") if isinstance(a, Image.Image) else a)
    eyes = np.s_[95:120, 200:255]
    return float(np.abs(rgb[eyes].astype(int) - b[eyes]).mean())


@needs_browser
@pytest.mark.slow
def test_expressions_and_neutral_move_the_sliders(visitor: Visitor) -> None:
    first = visitor.shown
    visitor.page.locator("#expression input").click()
    visitor.page.get_by_role("option", name="Happily surprised").click()
    visitor.wait_for_picture(other_than=first)
    assert visitor.slider(12).input_value() == "0.62"
    assert visitor.slider(26).input_value() == "0.52"
    surprised = visitor.shown
    visitor.page.click("#neutral")
    visitor.wait_for_picture(other_than=surprised)
    assert set(visitor.positions()) == {0.0}


@needs_browser
@pytest.mark.slow
def test_two_people_at_once_see_their_own_pictures(
    studio: Studio, browser, visitor: Visitor, two_faces: np.ndarray
) -> None:
    other = Visitor(browser, studio.address)
    first = other.wait_for_picture()
    other.give("both.png", to_png(two_faces))
    other.wait_for_status("both.png: face 1 of 2")
    both = other.wait_for_picture(other_than=first)
    assert pixels(both).shape == two_faces.shape
    assert studio.uploads == [], "what was uploaded is in memory alone"

    largest = other.positions()
    box = other.page.get_by_label("Face 2 of 2")
    left = float(box.evaluate("box => box.style.left").rstrip("%"))
    assert left < 50, "the astronaut's face is the smaller one"
    box.click()
    other.wait_for_status("face 2 of 2")
    assert other.positions() != largest
    other.slider(26).fill("1")
    dropped = other.wait_for_picture(other_than=both)
    changed = np.abs(pixels(dropped).astype(int) - pixels(both)).max(2) > 40
    assert changed[:, :512].any() and not changed[:, 512:].any(), "the face on the left alone"

    assert visitor.shown == first
    visitor.slider(26).fill("1")
    mine = visitor.wait_for_picture(other_than=first)
    assert pixels(mine).shape == pixels(first).shape
    other.close()


@needs_browser
@pytest.mark.slow
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    visitor: Visitor, studio: Studio
) -> None:
    first = visitor.shown
    visitor.give("notes.jpg", b"not a picture at all")
    visitor.wait_for_status("notes.jpg cannot be read: not a picture in a known format.")
    huge = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(huge, "PNG")
    visitor.give("huge.png", huge.getvalue())
    visitor.wait_for_status("huge.png has 100 megapixels, more than 50: save it smaller.")
    visitor.give("<b>grey</b>.png", to_png(np.full((200, 200, 3), 128, np.uint8)))
    visitor.wait_for_status("No face was found in ")
    assert "Traceback" not in visitor.page.content()
    assert visitor.shown == first, "the photograph before is still there"
    assert studio.uploads == []


@pytest.mark.slow
def test_the_server_hands_out_no_files_and_takes_no_large_bodies(
    studio: Studio, astronaut_path: Path
) -> None:
    def status(path: str, **more: object) -> int:
        request = urllib.request.Request(studio.address + path, **more)  # type: ignore[arg-type]
        try:
            with urllib.request.urlopen(request, timeout=WAIT / 1000) as answer:
                policy = answer.headers["content-security-policy"]
                assert "default-src 'self'" in policy
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status("/") == 200
    assert status(f"/gradio_api/file={astronaut_path.resolve()}") == 404
    upload = studio.folder / "photograph.png"
    upload.write_bytes(b"somebody's")
    assert status(f"/gradio_api/file={upload}") == 404
    assert status(f"/gradio_api/file={studio.folder}/results/../photograph.png") == 404
    upload.unlink()
    assert status("/gradio_api/proxy=http://127.0.0.1/") == 404
    assert status("/static/../../../../pyproject.toml") in (403, 404)
    long = {"content-length": str(10**9)}
    assert status("/gradio_api/run/predict", data=b"{}", headers=long, method="POST") == 413


def test_without_gradio_one_sentence_says_what_to_install() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['gradio'] = None\n"
            "from ganim.cli import main; sys.argv = ['ganim', 'studio']; main()",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith('not installed: pip install "ganim[studio]"')
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_and_a_photograph_without_a_face_are_sentences(
    studio: Studio, tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    grey.write_bytes(to_png(np.full((200, 200, 3), 128, np.uint8)))
    port = studio.address.rpartition(":")[2]
    taken = f"cannot use 127.0.0.1:{port} (Address already in use): choose another with --port."
    for arguments, code, sentence in (
        (["--port", port], 2, taken),
        ([str(grey), "--port", "0"], 1, "No face was found in grey.png"),
    ):
        command = [sys.executable, "-m", "ganim.cli", "studio", "--no-browser", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code
        assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_host_that_cannot_be_used_is_a_sentence_and_ipv6_stands_in_brackets() -> None:
    for host in ("a..b", "203.0.113.1"):  # the latter is no computer's
        with pytest.raises(WrongUse, match=f"cannot use {host}:0 .* another with --host"):
            listen(host, 0)
    assert host_and_port("::1", 7860) == "[::1]:7860"


def test_folders_that_killed_studios_left_are_deleted_and_those_in_use_are_not() -> None:
    lines = "from ganim.studio.server import *\nprint(temporary_folder(), flush=True); input()"
    command = [sys.executable, "-c", lines]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as runs:
        left, used = (
            Path(process.stdout.readline().decode().strip()) for process in (killed, runs)
        )
        (left / "upload.png").write_bytes(b"somebody's")
        killed.kill()
        killed.wait()
        assert left.is_dir()
        mine = temporary_folder()
        assert not left.exists()
        assert used.is_dir() and mine.is_dir()
        runs.kill()
    for folder in (mine, used):
        folder.rmdir()


def test_a_slider_that_stands_at_the_faces_own_au_asks_for_nothing() -> None:
    own = np.linspace(0, 0.987, COUNT).astype(np.float32)
    positions = positions_of(own)
    assert edits(positions, own) == []
    positions[8] = 0.25
    assert edits(positions, own) == [Edit(NUMBERS[8], 0.25)]


def test_nothing_is_asked_of_aus_that_the_weights_do_not_know(astronaut_path: Path) -> None:
    small = TorchRenderer(Generator(GeneratorSettings(8, 1, aus=(12, 25))), 128)
    animator = Animator.of(Networks(small, Animator().reader))
    photograph = open_photograph(astronaut_path.read_bytes(), "a.png", animator)
    session = Session(animator, photograph)
    happy = Request(expression=expression_aus("happy")).target(session.own_aus)
    asked = session.edits(positions_of(happy))
    assert [edit.number for edit in asked] == [12, 25]


def test_a_command_names_the_face_the_weights_and_a_file_that_begins_with_a_dash() -> None:
    assert command("-a.png", 2, ["--drive", "b c.csv"], "w.safetensors") == (
        "ganim animate ./-a.png --face 2 --drive 'b c.csv' --weights w.safetensors"
    )
    assert command("a.png", 1, [], None) == "ganim animate a.png"


def test_every_au_has_a_slider_in_one_group_and_a_line_of_help() -> None:
    assert sorted(number for numbers in GROUPS.values() for number in numbers) == list(NUMBERS)
    assert set(HELP) == set(NUMBERS)
    assert len({text.split(".")[0] for text in HELP.values()}) == COUNT


def test_expressions_that_people_show_are_in_range_and_unlike() -> None:
    shown = shown_expressions()
    assert shown.shape == (32, COUNT)
    assert shown.min() >= 0 and shown.max() <= 0.75
    distances = np.abs(shown[:, None] - shown[None]).sum(2) + 9 * np.eye(len(shown))
    assert distances.min() > 0.3
