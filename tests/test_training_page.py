"""The report of a training, opened in a real browser, and the dry run."""

import re
from pathlib import Path

import pytest
from browser import needs_browser, open_page
from click.testing import CliRunner

from ganim.cli import main
from ganim.model.training.log import METRICS

SETTINGS = "--size 64 --width 8 --blocks 1 --critic-width 8 --critic-layers 4 --batch 4 "
SETTINGS += "--critic-steps 2 --epochs 2 --decay-epochs 0 --device cpu"


@pytest.fixture(scope="module")
def run(random_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training with a warning and a hostile name."""
    run = tmp_path_factory.mktemp("runs") / "<script>alert(1)"
    command = ["train", str(random_faces), *SETTINGS.split(), "--run", str(run)]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0 and "report.html" in done.output
    with (run / METRICS).open("a") as log:
        log.write('{"iteration": 8, "epoch": 2.0, "warning": "some", "text": "<b>Something</b>"}\n')
    CliRunner().invoke(main, command, catch_exceptions=False)  # writes the page again
    return run


@needs_browser
@pytest.mark.slow
def test_the_page_shows_metrics_plots_pictures_settings_and_warnings(run: Path) -> None:
    page = open_page(run / "report.html")
    assert "2.0</b>of 2 epochs, 8 of 8 iterations" in page
    assert "that of the photographs" in page and "mean attention" in page
    for title in ("AU error, held-out faces", "AU error, by the critic", "Attention", "Cycle"):
        assert title in page
    assert page.count("<svg") == 8 and page.count("<img") == 2
    assert "epoch-0002" in page and "generator.width" in page
    assert "&lt;b&gt;Something" in page and "&lt;script&gt;alert(1)" in page


@pytest.mark.slow
def test_the_page_has_no_scripts_and_no_external_resources(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'<> )]+", page)) <= namespaces
    assert len(page) < 1_000_000


def test_a_dry_run_prints_an_estimate_and_writes_nothing(
    random_faces: Path, tmp_path: Path
) -> None:
    command = ["train", str(random_faces), *SETTINGS.split(), "--run", str(tmp_path / "run")]
    before = sorted(random_faces.iterdir())
    done = CliRunner().invoke(main, [*command, "--dry-run"], catch_exceptions=False)
    assert done.exit_code == 0
    for said in (
        r"faces       16 to train on, 8 held out",
        r"iterations  8, of which 4 with a step of the generator",
        r"parameters  generator [\d,]+, critic [\d,]+",
        r"device      cpu, (bf16|fp32)",
        r"memory      \d+\.\d GiB",
        r"time        about \d+\.\d min",
    ):
        assert re.search(said, done.output), said
    assert not (tmp_path / "run").exists() and sorted(random_faces.iterdir()) == before
