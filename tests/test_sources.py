"""What lies under a folder: found, named and opened."""

import os
from pathlib import Path

import pytest

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


def test_links_to_folders_are_not_entered(album: Path) -> None:
    (album / "round").symlink_to(".", target_is_directory=True)
    (album / "round.jpg").symlink_to("a", target_is_directory=True)
    (album / "folder.jpg").mkdir()
    (album / "folder.jpg" / "c.jpg").touch()
    assert find(album, album / "out").photographs == [
        "a/1.JPG",
        "a/2.png",
        "b.jpg",
        "folder.jpg/c.jpg",
    ]


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
