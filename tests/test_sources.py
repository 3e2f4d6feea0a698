"""What lies under a folder: found, named and opened."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ganim.cli import main
from ganim.pipeline.files import address
from ganim.pipeline.images.decode import TooLarge, UnreadableImage
from ganim.pipeline.prepare.names import file_of, frame_name, source_name
from ganim.pipeline.prepare.sources import find, open_source, read_photograph


@pytest.fixture
def album(tmp_path: Path) -> Path:
    root = tmp_path / "album"
    for name in ("b.jpg", "a/1.JPG", "a/2.png", "clip.MP4", "notes.txt", ".h.jpg", ".h/a.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_photographs_and_clips_are_found_and_the_rest_is_counted(album: Path) -> None:
    found = find(album, album.parent / "out")
    assert found.photographs == ["a/1.JPG", "a/2.png", "b.jpg"]
    assert (found.clips, found.other_files, found.closed_folders) == (["clip.MP4"], 1, 0)


def test_out_inside_the_source_is_not_walked(album: Path) -> None:
    before = find(album, album / "shards")
    (album / "shards").mkdir()
    (album / "shards/grid.png").touch()
    assert find(album, album / "shards") == before
    # As the person may type it.
    assert find(album, album / "a" / ".." / "shards") == before
    assert len(find(album, album.parent / "elsewhere").photographs) == 4


def test_a_linked_folder_inside_is_walked_once_under_its_own_path(album: Path) -> None:
    before = find(album, album / "out").photographs
    (album / "round").symlink_to(".", target_is_directory=True)
    (album / "round.jpg").symlink_to("a", target_is_directory=True)
    (album / "a" / "up").symlink_to("../..", target_is_directory=True)
    (album / "folder.jpg").mkdir()
    (album / "folder.jpg" / "c.jpg").touch()
    found = find(album, album / "out")
    assert found.photographs == [*before, "folder.jpg/c.jpg"]
    assert found.links == ["a/up → ../.."]
    # What is hidden under its own path is not hidden by a link to it.
    (album / "shown").symlink_to(".h", target_is_directory=True)
    assert "shown/a.jpg" in find(album, album / "out").photographs


@pytest.fixture
def outside(album: Path) -> Path:
    """A folder beside the album, which links to it, to itself and back."""
    outside = album.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "x.jpg").write_bytes(b"x")
    (outside / "back").symlink_to(album, target_is_directory=True)
    (outside / "self").symlink_to(outside, target_is_directory=True)
    (album / "linked").symlink_to(outside, target_is_directory=True)
    (album / "twice").symlink_to("../outside/deep", target_is_directory=True)
    (album / "broken").symlink_to("nowhere", target_is_directory=True)
    return outside


def test_links_outside_are_named_or_followed_and_loops_end(album: Path, outside: Path) -> None:
    before = ["a/1.JPG", "a/2.png", "b.jpg"]
    found = find(album, album / "out")
    assert found.photographs == before
    assert found.links == [f"linked → {outside}", "twice → ../outside/deep"]
    found = find(album, album / "out", follow_links=True)
    assert found.photographs == sorted([*before, "linked/deep/x.jpg"]) and not found.links


def test_a_file_under_a_linked_folder_is_outside(album: Path, outside: Path) -> None:
    with pytest.raises(UnreadableImage, match="--follow-links"):
        open_source(album, "linked/deep/x.jpg")
    assert read_photograph(album, "linked/deep/x.jpg", follow_links=True) == b"x"


def test_a_link_to_the_shards_is_not_walked(album: Path) -> None:
    (album.parent / "out").mkdir()
    (album.parent / "out" / "grid.png").touch()
    (album / "results").symlink_to("../out", target_is_directory=True)
    found = find(album, album.parent / "out", follow_links=True)
    assert "results/grid.png" not in found.photographs and not found.links


def test_links_are_followed_inside_the_folder_only(album: Path) -> None:
    secret = album.parent / "secret.jpg"
    secret.write_bytes(b"secret")
    (album / "in.jpg").symlink_to("a/1.JPG")
    (album / "out.jpg").symlink_to(secret)
    (album / "up.jpg").symlink_to("../secret.jpg")
    (album / "chain.jpg").symlink_to("out.jpg")
    (album / "round.jpg").symlink_to("round.jpg")
    (album / "nothing.jpg").symlink_to("absent.jpg")
    assert read_photograph(album, "in.jpg") == b"a/1.JPG"
    for name in ("out.jpg", "up.jpg", "chain.jpg"):
        with pytest.raises(UnreadableImage, match="leads out of the folder"):
            open_source(album, name)
    for name in ("round.jpg", "nothing.jpg"):
        with pytest.raises(UnreadableImage):
            open_source(album, name)


def test_a_pipe_is_not_waited_for(album: Path) -> None:
    os.mkfifo(album / "pipe.jpg")
    with pytest.raises(UnreadableImage, match="regular file"):
        read_photograph(album, "pipe.jpg")


def test_a_file_beyond_all_measure_is_not_read(album: Path) -> None:
    os.truncate(album / "b.jpg", 10**12)  # sparse: takes no room on the disk
    with pytest.raises(TooLarge, match="500 MB"):
        read_photograph(album, "b.jpg")


def test_every_path_has_a_name_of_its_own() -> None:
    paths = [b"a\xff.jpg", rb"a\xff.jpg", rb"a\\xff.jpg", b"a\\\xff.jpg", b"a\\.jpg", b"a\\\\.jpg"]
    names = [source_name(os.fsdecode(path)) for path in paths]
    assert len(set(names)) == len(paths)
    assert source_name("ü\n 写.jpg") == "ü\n 写.jpg" and names[0] == r"a\xff.jpg"


@pytest.mark.parametrize("clip", ["clip.mp4", "a b/c\n.MOV", "x.mp4@1.00s.mkv"])
def test_a_frame_belongs_to_its_clip(clip: str) -> None:
    frame = frame_name(clip, 12.4)
    assert frame == f"{clip}@12.40s"
    assert file_of(frame) == clip and file_of(clip) == clip


def test_what_is_no_frame_belongs_to_itself() -> None:
    for name in ("a.jpg", "clip.mp4@12.40s.jpg", "a@1.00s", "clip.mp4@1s"):
        assert file_of(name) == name


def test_an_address_is_walked_and_read_like_a_folder(album: Path) -> None:
    pytest.importorskip("upath")
    root = address("memory://walked/album")
    for file in album.rglob("*"):
        if file.is_file():
            (root / file.relative_to(album).as_posix()).write_bytes(file.read_bytes())
    (root / "shards/grid.png").write_bytes(b"")
    there = find(root, root / "shards")
    assert there == find(album, album / "shards")
    assert read_photograph(root, "a/2.png") == b"a/2.png"
    with pytest.raises(UnreadableImage, match="does not exist"):
        read_photograph(root, "absent.jpg")


def prepare_command(source: Path, out: Path, *words: str) -> Result:
    paths = ["prepare", "--src", str(source), "--out", str(out), "--workers", "1"]
    return CliRunner().invoke(main, [*paths, *words])


def test_the_photographs_folder_takes_no_shards(album: Path) -> None:
    before = sorted(album.rglob("*"))
    result = prepare_command(album, album / "a" / "..")
    assert result.exit_code == 2 and "another folder for the shards" in result.output
    assert sorted(album.rglob("*")) == before


def test_folders_that_cannot_be_listed_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root, who may list all, runs tests, too, the answer of the system is replaced."""
    (tmp_path / "raw" / "closed").mkdir(parents=True)
    scandir, closed = os.scandir, tmp_path / "raw" / "closed"

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = prepare_command(closed, tmp_path / "s")
    assert result.exit_code == 2 and "closed cannot be listed: Permission denied" in result.output
    assert not (tmp_path / "s").exists()
    result = prepare_command(tmp_path / "raw", tmp_path / "s")
    assert result.exit_code == 1 and "1 folders could not be listed" in result.output


def test_prepare_names_links_and_no_file_that_is_not_there(
    tmp_path: Path, astronaut_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.png").write_bytes(astronaut_path.read_bytes())
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "celeba").symlink_to("../data", target_is_directory=True)

    def prepare(*words: str) -> Result:
        return prepare_command(tmp_path / "raw", tmp_path / "s", *words)

    result = prepare()
    assert result.exit_code == 1 and "celeba → ../data: --follow-links" in result.output
    assert "column `error`" not in result.output and not list((tmp_path / "s").glob("*.parquet"))
    result = prepare("--follow-links")
    assert result.exit_code == 0 and "ok           1" in result.output, result.output
    result = prepare()
    assert result.exit_code == 0 and "not followed: celeba → ../data" in result.output
