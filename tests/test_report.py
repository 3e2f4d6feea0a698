"""The statistics of a shard set: `ganim inspect`, and report.html in a real browser."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_browser, open_page, screenshot
from click.testing import CliRunner, Result
from PIL import Image
from shard_rows import face_row, failed_row

from ganim.cli import main
from ganim.pipeline import shards
from ganim.pipeline.action_units import COLUMNS, NUMBERS
from ganim.pipeline.errors import CannotWrite
from ganim.pipeline.report import html
from ganim.pipeline.report.findings import list_findings
from ganim.pipeline.report.formatting import percent
from ganim.pipeline.report.histogram import histogram
from ganim.pipeline.report.statistics import read_statistics

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# Names that a stranger may give to a photograph.
HOSTILE = [
    "<script>document.title='run'</script>.jpg",
    '"><img src=x onerror="document.title=\'run\'">.jpg',
    "'><svg onload=document.title='run'>.jpg",
    "two\nlines\t\x1b[31m and a colour.jpg",
    "{{ 7 * 7 }} {% raw %} [red]markup[/red] [/nothing].jpg",
    "\u202egpj.right to left",
    "日本 Ünï 😀/&amp;lt;.jpg",
]


def annotated(index: int, aus: np.ndarray, **more: Any) -> dict[str, Any]:
    values = dict(zip(COLUMNS, aus.astype(np.float32).tolist(), strict=True))
    return values | {"au_confidence": 0.95, "annotator": "OpenFace 2.0 test"} | more


def write_set(folder: Path, train: Sequence[dict], test: Sequence[dict] = ()) -> Path:
    for split, rows in {"train": train, "test": test}.items():
        for number, start in enumerate(range(0, len(rows), 100)):
            table = shards.rows_to_table(rows[start : start + 100])
            shards.write_shard(folder / f"{split}-{number:05d}.parquet", table)
    shards.write_manifest(folder, {"size": 128, "margin": 0.15, "test_fraction": 0.1})
    return folder


def plausible_aus(count: int) -> np.ndarray:
    """(count, 17) intensities: about half of them 0, AU06 and AU12 together."""
    random = np.random.default_rng(0)
    aus = np.clip(random.normal(0.2, 1.2, (count, len(NUMBERS))), 0, 5)
    aus[:, NUMBERS.index(6)] = np.clip(
        aus[:, NUMBERS.index(12)] + random.normal(0, 0.3, count), 0, 5
    )
    return aus


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, crop_jpeg: bytes) -> Path:
    """An annotated set: 220 faces with hostile names among them, failures of several kinds."""
    aus = plausible_aus(250)
    train = [face_row(i, crop_jpeg) | annotated(i, aus[i]) for i in range(220)]
    for index, name in enumerate(HOSTILE):
        train[index] |= {"source": name, "key": f"{name}#0", "detection_score": index / 100}
        train.append(failed_row(name, shards.UNREADABLE, f"damaged: {name}"))
    train.append(
        face_row(
            300, crop_jpeg, status=shards.NO_AUS, error=HOSTILE[0], annotator="OpenFace 2.0 test"
        )
    )
    train[20]["image"]["bytes"] = b"no JPEG"
    train[20]["detection_score"] = -1.0
    train[21] |= {"image": None, "detection_score": -0.5}
    train += [
        failed_row(f"{n}.png", shards.TOO_LARGE, f"{n}00x20000 is more than 100 megapixels")
        for n in range(9)
    ]
    train += [failed_row(f"{n}.tif", "duplicate", f"the same file as {n}.jpg") for n in range(30)]
    test = [face_row(i, crop_jpeg) | annotated(i, aus[i]) for i in range(220, 250)]
    return write_set(tmp_path_factory.mktemp("hostile"), train, test)


@pytest.fixture(scope="module")
def page(hostile: Path) -> Path:
    return html.write_report(read_statistics(hostile))


def ganim(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


# ---- the statistics


def test_statistics_count_every_row_once(hostile: Path) -> None:
    statistics = read_statistics(hostile)
    assert statistics.photographs == 220 + 7 + 1 + 9 + 30 + 30
    assert (len(statistics.faces), len(statistics.annotated)) == (251, 250)
    assert statistics.statuses["ok"] == {"train": 220, "test": 30}
    assert statistics.count(shards.TOO_LARGE) == 9 and statistics.count("absent") == 0
    assert statistics.annotators == ["OpenFace 2.0 test"]


def test_a_photograph_with_several_faces_is_one_photograph(
    tmp_path: Path, crop_jpeg: bytes
) -> None:
    rows = [face_row(0, crop_jpeg, face_index=n, key=f"0.jpg#{n}") for n in range(3)]
    statistics = read_statistics(write_set(tmp_path, rows))
    assert (statistics.photographs, len(statistics.faces), len(statistics.sizes)) == (1, 3, 1)


def test_reasons_that_differ_in_numbers_or_twins_are_one(hostile: Path) -> None:
    found = {(reason.status, reason.count): reason for reason in read_statistics(hostile).reasons}
    assert found["duplicate", 30].text == "the same file as 0.jpg"
    assert found[shards.TOO_LARGE, 9].source == "0.png"
    assert len([reason for reason in found.values() if reason.status == shards.UNREADABLE]) == 1


def test_reasons_of_endless_kinds_stay_few(tmp_path: Path) -> None:
    letters = [chr(0x4E00 + n) for n in range(3000)]
    rows = [failed_row(f"{n}.jpg", shards.UNREADABLE, letter) for n, letter in enumerate(letters)]
    reasons = read_statistics(write_set(tmp_path, rows)).reasons
    assert len(reasons) < 1100 and sum(reason.count for reason in reasons) == 3000
    assert reasons[0].text == "other reasons" and reasons[0].count > 1900


def test_action_units_are_those_of_numpy(hostile: Path) -> None:
    statistics, aus = read_statistics(hostile), plausible_aus(250).astype(np.float32)
    assert len(statistics.au_statistics()) == 17
    for index, unit in enumerate(statistics.au_statistics()):
        assert unit.column == f"AU{NUMBERS[index]:02d}"
        assert unit.mean == pytest.approx(aus[:, index].mean(), abs=1e-5)
        assert unit.std == pytest.approx(aus[:, index].std(), abs=1e-5)
        assert unit.above_1 == (aus[:, index] > 1).mean()
        assert unit.zero == (aus[:, index] == 0).mean()
    np.testing.assert_allclose(statistics.correlations(), np.corrcoef(aus.T), atol=1e-5)
    one, other, r = statistics.strongest_correlations()[0]
    assert (one, other) == ("AU06", "AU12") and r > 0.8


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.004, "0.4%"), (0.38, "38%"), (0.9999, "99%"), (1, "100%")],
)
def test_percent_tells_none_and_all_from_nearly_so(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_histogram_holds_every_value_within_round_edges() -> None:
    values = np.append(np.random.default_rng(0).normal(200, 40, 10_000), [9_000, np.nan])
    found = histogram(values)
    assert sum(found.counts) == 10_001 and found.open_ended and 12 <= len(found.counts) <= 31
    assert found.width in (5, 10) and found.left % found.width == 0 and found.right < 400
    same = histogram(np.full(5, 0.983))
    assert sum(same.counts) == 5 and same.left <= 0.983 <= same.right and len(same.counts) > 1
    assert histogram(np.array([3.0, 5.0, 5.0]), min_width=1.0).counts == [1, 0, 2]
    assert sum(histogram(np.zeros(3)).counts) == 3
    assert sum(histogram(np.array([-2.0, -1.5, 0.5])).counts) == 3


# ---- the findings


def test_a_good_set_has_nothing_wrong(tmp_path: Path, crop_jpeg: bytes) -> None:
    aus = plausible_aus(2000)
    rows = [face_row(n, crop_jpeg) | annotated(n, aus[n]) for n in range(2000)]
    assert list_findings(read_statistics(write_set(tmp_path, rows[200:], rows[:200]))) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no face", "50% of the photographs gave no face"),
        ("small", "100% of the faces are smaller in their photograph than the crop of 128 px"),
        ("weak", "100% of the faces were found with a score under 0.3"),
        ("open", "10 of 40 faces have no action units yet"),
        ("refused", "could not read the action units of 25% of the faces"),
        ("doubtful", "confidence is under 0.8 for 100% of the faces"),
        ("mixed", "The action units are by different annotators: a 1 and b 2"),
        ("estimator", "All action units are by ganim estimator 1, not by OpenFace"),
        ("constant", "AU45 has one value in all faces, so a model cannot learn it."),
        ("rare", "faces, so a model will hardly learn them."),
        ("unit", "are the labels 0 to 1?"),
        ("twins", "AU01 and AU02 are nearly the same label"),
        ("outside", "Some action units are outside their range"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, crop_jpeg: bytes, what: str, said: str) -> None:
    aus = plausible_aus(40)
    more: dict[str, Any] = {}
    if what == "constant":
        aus[:, -1] = 0
    elif what == "rare":
        aus[:, [1, -1]] = aus[:, [1, -1]] / 6
    elif what == "unit":
        aus = aus / 5
    elif what == "twins":
        aus[:, 1] = aus[:, 0]
    elif what == "outside":
        aus[0, 0] = -1
    elif what == "small":
        more["crop"] = [0, 0, 90, 90]
    elif what == "weak":
        more["detection_score"] = 0.1
    elif what == "doubtful":
        more["au_confidence"] = 0.5
    elif what == "estimator":
        more["annotator"] = "ganim estimator 1"
    rows = [face_row(n, crop_jpeg) | annotated(n, aus[n]) | more for n in range(40)]
    if what == "no face":
        rows += [failed_row(f"{n}.png", shards.NO_FACE, "none") for n in range(40)]
    elif what == "mixed":
        rows = [row | {"annotator": "ab"[n % 2] + f" {n % 2 + 1}"} for n, row in enumerate(rows)]
    for row in rows[:10]:
        if what in ("open", "refused"):
            row |= dict.fromkeys(COLUMNS)
        if what == "refused":
            row["status"] = shards.NO_AUS
    assert said in " ".join(
        finding.text for finding in list_findings(read_statistics(write_set(tmp_path, rows)))
    )


# ---- the page


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_is_self_contained_and_without_scripts(page: Path) -> None:
    text = page.read_text()
    assert POLICY.search(text) and "default-src 'none'" in text
    tags = Tags(text).found
    assert len(tags) > 500
    for tag, attributes in tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("href", "srcset", "action"), (tag, name)
            if name == "src":
                assert tag == "img" and (value or "").startswith("data:image/jpeg;base64,")
    assert "url(" not in text and "@import" not in text
    assert page.stat().st_size < 2e6
    assert not list(page.parent.glob(".*"))


def test_the_page_is_the_same_each_time(hostile: Path, page: Path) -> None:
    assert html.render(read_statistics(hostile)) == page.read_text()


def test_the_strongest_and_the_weakest_are_shown(hostile: Path, page: Path) -> None:
    text = page.read_text()
    aus = read_statistics(hostile).annotated
    for column in COLUMNS:
        for value in aus[column].nlargest(6):
            assert f"<b>{value:.2f}</b>" in text
    lowest = text[text.index("Lowest detection scores") : text.index("Sizes and scores")]
    assert lowest.count("<figure") == 24
    assert lowest.count(">unreadable<") == 2
    assert lowest.index(">unreadable<") < lowest.index("<b>0.00</b>") < lowest.index("<b>0.01</b>")


LOOK = """
<script>
const pictures = [...document.images];
document.body.dataset.pictures = pictures.length;
document.body.dataset.shown = pictures.filter((p) => p.complete && p.naturalWidth > 0).length;
</script>
"""


@needs_browser
def test_a_browser_shows_every_picture_and_runs_no_name(page: Path, tmp_path: Path) -> None:
    """In a copy that would run scripts, so that only the escaping keeps the names from it."""
    copy = tmp_path / "copy.html"
    copy.write_text(POLICY.sub("", page.read_text()) + LOOK)
    seen = open_page(copy)
    counts = dict(re.findall(r'data-(pictures|shown)="(\d+)"', seen))
    assert counts["pictures"] == counts["shown"] and int(counts["shown"]) > 150
    assert "<title>run" not in seen and "AU12" in seen
    # Each name stands there as text, the invisible in it made visible.
    assert "&lt;script&gt;document.title='run'&lt;/script&gt;.jpg" in seen
    assert "two\\nlines\\t\\x1b[31m and a colour.jpg" in seen and "{{ 7 * 7 }}" in seen
    assert "\\u202egpj" in seen and "日本 Ünï 😀/&amp;amp;lt;.jpg" in seen


@needs_browser
def test_a_browser_reads_the_page_itself(page: Path) -> None:
    seen = open_page(page)
    assert "Correlations of the action units" in seen and "lip corner puller" in seen


@needs_browser
def test_the_page_follows_the_theme(page: Path, tmp_path: Path) -> None:
    light, dark = (
        np.asarray(
            Image.open(screenshot(page, tmp_path / f"{theme}.png", dark=theme == "dark")).convert(
                "L"
            )
        )
        for theme in ("light", "dark")
    )
    assert np.median(light) > 230 and np.median(dark) < 40
    assert min(light.std(), dark.std()) > 15, "there are letters and pictures"


@needs_browser
def test_the_page_fits_a_phone(page: Path, tmp_path: Path) -> None:
    with Image.open(screenshot(page, tmp_path / "phone.png", (400, 9000))) as picture:
        seen = np.asarray(picture.convert("RGB"))
    assert seen.shape == (9000, 400, 3) and seen[:, 20:-20].std() > 15
    assert np.ptp(seen[:, -8:], axis=(0, 1)).max() == 0, "something reaches over the right edge"


# ---- sets of all kinds


def test_shards_without_action_units(tmp_path: Path, crop_jpeg: bytes) -> None:
    page = html.write_report(
        read_statistics(write_set(tmp_path, [face_row(n, crop_jpeg) for n in range(5)]))
    ).read_text()
    assert page.count("<img") == 10 and "Next: ganim annotate" in page
    assert "Correlations of the action units" not in page


def test_one_face_and_constant_action_units(tmp_path: Path, crop_jpeg: bytes) -> None:
    rows = [face_row(0, crop_jpeg) | annotated(0, np.zeros(17))]
    page = html.write_report(read_statistics(write_set(tmp_path, rows))).read_text()
    assert page.count("one of them is constant") == 17 * 16
    assert ganim("inspect", tmp_path).exit_code == 0


def test_a_set_without_a_face(tmp_path: Path) -> None:
    write_set(
        tmp_path, [failed_row("a.jpg", shards.NO_FACE, "none"), failed_row("b.jpg", "odd", "why")]
    )
    done = ganim("inspect", tmp_path)
    assert done.exit_code == 0 and "No photograph gave a face" in done.output
    page = (tmp_path / "report.html").read_text()
    assert "No photograph gave a face" in page and "<img" not in page and "why" in page


def test_an_empty_set(tmp_path: Path) -> None:
    shards.write_manifest(tmp_path, {"size": 128})
    done = ganim("inspect", tmp_path)
    assert done.exit_code == 0 and "There is no photograph in this set" in done.output
    assert "There is no photograph in this set" in (tmp_path / "report.html").read_text()


def test_a_folder_that_is_no_shard_set(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        done = ganim("inspect", folder)
        assert done.exit_code == 2 and "Make them first: ganim prepare" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    shards.write_manifest(tmp_path, {"size": 128})
    (tmp_path / "report.html").mkdir()
    with pytest.raises(CannotWrite, match=r"report\.html cannot be written"):
        html.write_report(read_statistics(tmp_path))


# ---- the commands


def test_inspect_prints_the_statistics(hostile: Path) -> None:
    done = ganim("inspect", hostile)
    assert done.exit_code == 0
    assert "297 photographs, 251 faces, 250 with action units by OpenFace 2.0 test" in done.output
    assert re.search(r"ok +220 +30 +84%", done.output)
    assert re.search(r"9 +too_large +000x20000 is more", done.output)
    assert re.search(r"face width, px +200 +20\d +203 +20\d +206", done.output)
    assert re.search(r"AU12 lip corner puller +\d\.\d\d +\d\.\d\d +\d+% +\d+%", done.output)
    assert re.search(r"AU06 and AU12 +\+0\.\d\d", done.output)
    assert str(hostile / "report.html") in done.output
    assert "\x1b" not in done.output, "a file's name must not steer the terminal"


def test_prepare_and_annotate_write_the_report(tmp_path: Path, small_jpeg: bytes) -> None:
    photographs, out = tmp_path / "photographs", tmp_path / "shards"
    photographs.mkdir()
    (photographs / "astronaut.jpg").write_bytes(small_jpeg)
    done = ganim("prepare", "--src", photographs, "--out", out, "--workers", "1")
    assert done.exit_code == 0 and str(out / "report.html") in done.output
    assert (out / "report.html").read_text().count("<img") == 2

    table = tmp_path / "labels.csv"
    table.write_text(f"photo,{','.join(COLUMNS)}\nastronaut.jpg{',1.5' * 17}\n")
    done = ganim("annotate", out, "--annotator", "labels", "--labels", table)
    assert done.exit_code == 0 and str(out / "report.html") in done.output
    assert "labels labels.csv" in (out / "report.html").read_text()


def test_prepare_without_a_face_leaves_the_report_to_look_at(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    Image.new("RGB", (200, 200)).save(photographs / "black.png")
    out = tmp_path / "shards"
    assert ganim("prepare", "--src", photographs, "--out", out, "--workers", "1").exit_code == 1
    assert "No photograph gave a face" in (out / "report.html").read_text()
