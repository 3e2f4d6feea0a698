"""The page of bench/compare.py preference: answered by clicks in a real browser, and its count."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import needs_browser
from torch import Tensor, nn

from ganim.bench.comparison import preference
from ganim.bench.comparison.measure import Contender
from ganim.bench.comparison.models import animator_of
from ganim.model.animation.animator import Animator
from ganim.model.config import GeneratorSettings
from ganim.model.editing.masks import Masks

TITLES = ["first <b>", "second", "third"]
COUNT = 6


class Painter(nn.Module):
    """A generator that paints the whole face in one grey."""

    settings = GeneratorSettings()

    def __init__(self, grey: float) -> None:
        super().__init__()
        self.grey = grey

    def forward(self, faces: Tensor, aus: Tensor, own_aus: Tensor) -> Masks:
        return Masks(torch.zeros_like(faces[:, :1]), torch.full_like(faces, self.grey), faces)


@pytest.fixture(scope="module")
def page(random_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three models, which paint dark, grey and bright."""

    def contender(number: int) -> Contender:
        def load(device: torch.device) -> Animator:
            return animator_of(Path("painter"), Painter(0.8 * (number - 1)), 64, device)

        return Contender(TITLES[number], Path(), None, load, None)

    path = tmp_path_factory.mktemp("pages") / "preference.html"
    known = [contender(number) for number in range(3)]
    preference.write_page(path, known, random_faces, COUNT, 0, torch.device("cpu"))
    return path


@needs_browser
@pytest.mark.slow
def test_a_person_answers_by_clicks_and_keys_blindly_and_is_counted(page: Path) -> None:
    from studio_browser import chromium

    with chromium() as browser:
        context = browser.new_context(accept_downloads=True)
        tab = context.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.resolve().as_uri())

        def brightness(side: str) -> float:
            return tab.evaluate(
                """async side => {
                    const image = document.querySelector(`#${side} img`);
                    await image.decode();
                    const canvas = document.createElement("canvas");
                    canvas.width = canvas.height = 1;
                    const context = canvas.getContext("2d");
                    context.drawImage(image, 40, 40, 48, 48, 0, 0, 1, 1);
                    return context.getImageData(0, 0, 1, 1).data[0];
                }""",
                side,
            )

        def progress() -> str:
            return tab.inner_text("#progress")

        # The brighter picture is chosen always, so that the count is known.
        met = []
        for number in range(COUNT - 1):
            assert progress() == f"{number} of {COUNT} answered"
            shown = tab.inner_text("body")
            assert not any(title in shown for title in TITLES), "the page must be blind"
            sides = {side: brightness(side) for side in ("left", "right")}
            best = max(sides, key=lambda side: sides[side])
            met.append(sorted(round(value / 100) for value in sides.values()))
            if number % 2:
                tab.keyboard.press({"left": "ArrowLeft", "right": "ArrowRight"}[best])
            else:
                tab.click(f"#{best}")
        assert {tuple(one) for one in met} == {(0, 1), (0, 2), (1, 2)}, "all models meet"
        tab.reload()
        assert progress() == f"{COUNT - 1} of {COUNT} answered", "the answers are kept"
        tab.click("#neither")
        assert tab.is_visible("#done") and not tab.is_visible("#question")
        tab.click("#back")
        assert tab.is_visible("#question") and progress() == f"{COUNT - 1} of {COUNT} answered"
        tab.keyboard.press("ArrowDown")

        assert not tab.is_visible("#count")
        tab.click("#show")
        rows = tab.locator("#count tbody tr").all_inner_texts()
        names, shown, chosen, equal, _ = zip(*(row.split("\t") for row in rows), strict=True)
        assert list(names) == TITLES
        assert list(map(int, shown)) == [4, 4, 4], "every two models meet equally often"
        assert sum(map(int, equal)) == 2 and sum(map(int, chosen)) == COUNT - 1
        assert int(chosen[0]) == 0 and int(chosen[2]) == 4 - int(equal[2])
        with tab.expect_download() as download:
            tab.click("#save")
        saved = json.loads(Path(download.value.path()).read_text())
        assert len(saved["answers"]) == COUNT
        assert [one["chosen"] for one in saved["counts"]] == list(map(int, chosen))
        tab.click("#again")
        assert progress() == f"0 of {COUNT} answered"
        assert not errors
        context.close()


def test_the_page_holds_its_pictures_and_asks_for_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "") and "default-src 'none'" in text
    assert "first <b>" not in text, "titles are escaped"
    assert text.count("data:image/jpeg") == 4 * COUNT


def test_a_face_is_never_asked_for_its_own_expression() -> None:
    sources, targets = preference._two_faces(3, 200, np.random.default_rng(0))
    assert (sources != targets).all() and targets.max() == 2
