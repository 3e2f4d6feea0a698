"""Work on a Dask cluster: real workers in processes of their own, one of which is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from shard_rows import rows_by_key

from ganim.cli import main
from ganim.pipeline import shards
from ganim.pipeline.errors import WrongUse
from ganim.pipeline.execution import pool
from ganim.pipeline.files import address
from ganim.pipeline.prepare import prepare
from ganim.pipeline.prepare.prepare import PrepareSettings

distributed = pytest.importorskip("distributed")

SETTINGS = PrepareSettings(shard_rows=8, test_fraction=0.3)
# After a delay, as a nanny does not restart a worker that ends while it starts.
KILL = "__import__('time').sleep(0.5) or __import__('os').kill(__import__('os').getpid(), 9)"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes of one thread each, and their scheduler in this process."""
    import dask

    settings = {
        # Dask gives a task up at the first death of its worker. The default, 3, takes longer.
        "distributed.scheduler.allowed-failures": 0,
        # By default a LocalCluster dismisses a worker that is not back in 15 s: on a busy machine
        # that is too soon.
        "distributed.deploy.lost-worker-timeout": "1h",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
        ) as running,
    ):
        yield running


def pids(cluster: Any) -> list[int]:
    with distributed.Client(cluster, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """36 photographs that all differ, a copy, and a broken one."""
    folder = tmp_path_factory.mktemp("album")
    for n in range(36):
        part = astronaut[n : n + 330, 60 + n : 390 + n]
        Image.fromarray(part).save(folder / f"{n:02d}.jpg", quality=90)
    (folder / "copy.jpg").write_bytes((folder / "07.jpg").read_bytes())
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


@pytest.fixture(scope="module")
def local(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards made by this machine's processes."""
    out = tmp_path_factory.mktemp("local")
    prepare.prepare(album, out, SETTINGS, workers=2)
    return out


@pytest.mark.slow
def test_a_run_with_a_worker_killed_half_way_equals_the_local_one(
    cluster: Any, album: Path, local: Path, tmp_path: Path
) -> None:
    victim = pids(cluster)[0]
    seen = 0

    def on_file(statuses: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == 19:
            os.kill(victim, signal.SIGKILL)

    summary = prepare.prepare(
        album, tmp_path, SETTINGS, scheduler=cluster.scheduler_address, on_file=on_file
    )
    assert summary.counts == {"duplicate": 1, "ok": 36, "unreadable": 1}
    assert list(rows_by_key(tmp_path).items()) == list(rows_by_key(local).items())
    for path in shards.shard_paths(local):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    cluster.wait_for_workers(2)
    assert victim not in pids(cluster), "the kill was one"


def test_a_task_that_kills_its_worker_costs_no_other_its_result(cluster: Any) -> None:
    harmless = [f"{n}" for n in range(16)]
    tasks = [*harmless[:5], KILL, *harmless[5:]]
    results = list(pool.run(eval, tasks, scheduler=cluster.scheduler_address))
    assert [task for task, _ in results] == tasks
    assert isinstance(dict(results)[KILL], pool.Crashed)
    assert [dict(results)[task] for task in harmless] == list(range(16))


def test_an_exception_of_the_function_reaches_the_caller(cluster: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        list(pool.run(eval, ["1", "1 / 0", "2"], scheduler=cluster.scheduler_address))


def test_the_command_line_runs_on_the_cluster_with_addresses_on_both_sides(
    album: Path, local: Path
) -> None:
    """memory:// is of one process, so here the workers are threads of this one."""
    source, out = address("memory://bucket/raw"), address("memory://bucket/shards")
    for path in album.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    command = ["prepare", "--src", str(source), "--out", str(out), "--test-fraction", "0.3"]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as threads:
        for word in ("0 of them done before", "38 of them done before"):
            done = CliRunner().invoke(
                main,
                [*command, "--scheduler", threads.scheduler_address],
                catch_exceptions=False,
            )
            assert done.exit_code == 0 and word in done.output, done.output
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "report.html",
        "test-00000.parquet",
        "train-00000.parquet",
    ]
    assert rows_by_key(out) == rows_by_key(local)


def test_a_set_at_an_address_is_made_anew_with_overwrite(album: Path, serial_pool: None) -> None:
    out = address("memory://another/shards")
    prepare.prepare(album, out, SETTINGS)
    assert len(shards.shard_paths(out)) > 2
    with pytest.raises(WrongUse, match="--overwrite"):
        prepare.prepare(album, out, PrepareSettings())
    prepare.prepare(album, out, PrepareSettings(), overwrite=True)
    assert [path.name for path in shards.shard_paths(out)] == [
        "train-00000.parquet",
        "test-00000.parquet",
    ]
    manifest = shards.read_manifest(out)
    assert manifest is not None and manifest["settings"]["shard_rows"] == 512
    assert len(rows_by_key(out)) == 38


def test_no_scheduler_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganim.pipeline.execution.dask._CONNECT_SECONDS", 1)
    for scheduler in ("tcp://127.0.0.1:1", "nowhere://127.0.0.1:8786"):
        with pytest.raises(WrongUse, match="No Dask scheduler answers"):
            list(pool.run(eval, ["1"], scheduler=scheduler))
    with pytest.raises(WrongUse, match="--workers"):
        list(pool.run(eval, ["1"], workers=1, scheduler="tcp://127.0.0.1:1"))


def test_a_scheduler_without_workers_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganim.pipeline.execution.dask._CONNECT_SECONDS", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as empty,
        pytest.raises(WrongUse, match="no workers"),
    ):
        list(pool.run(eval, ["1"], scheduler=empty.scheduler_address))


@pytest.mark.parametrize(
    ("text", "part"),
    [("nosuch://bucket/raw", "no address"), ("memory://empty/raw", "There is nothing at")],
)
def test_a_wrong_address_is_a_sentence(text: str, part: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["prepare", "--src", text, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2 and part in done.output


@pytest.mark.parametrize("words", [("--scheduler", "tcp://h:1"), ("--out", "s3://bucket/shards")])
def test_a_missing_extra_says_how_to_install_it(
    words: tuple[str, str], album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("distributed", "upath"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    given = ["prepare", "--src", str(album), "--out", str(tmp_path / "out"), *words]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 2 and "pip install 'ganim[cluster]'" in done.output
