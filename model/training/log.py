"""The metrics log of a training: `metrics.jsonl` in the run folder, one JSON object per line.

There is an entry for the mean metrics of every 50 iterations and of every end of an epoch, one for
each validation, and one for each warning. Every entry has `iteration` and `epoch`.
"""

import json
from pathlib import Path
from typing import Any

from ...pipeline.errors import WrongUse
from ...pipeline.files import write_whole

METRICS = "metrics.jsonl"
_EARLIER_NAMES = {
    "critic": "critic_adversarial",
    "penalty": "gp",
    "generator": "adversarial",
    "generator_aus": "aus",
    "smoothness": "tv",
}
"""Metrics by the names that versions up to 0.1 wrote."""
Entry = dict[str, Any]


class MetricsLog:
    """The metrics log of a run folder, read on a restart and then appended to.

    Args:
        folder: the run folder.
        iteration: the iteration that training resumes from. Later entries, which a killed process
            left, are removed, because their iterations are trained again.
        tensorboard: also write event files to `tensorboard/` in the run folder.

    Raises WrongUse if `tensorboard` is set and the package is not installed.
    """

    def __init__(self, folder: Path, iteration: int, tensorboard: bool = False) -> None:
        self._path = folder / METRICS
        self.entries = [entry for entry in read_metrics(folder) if entry["iteration"] <= iteration]
        text = "".join(json.dumps(entry) + "\n" for entry in self.entries)
        write_whole(self._path, lambda beside: beside.write_text(text))
        self._tensorboard = _tensorboard(folder, iteration) if tensorboard else None

    def append(self, entry: Entry) -> None:
        """Append an entry. Values that are not finite are written as NaN and Infinity."""
        self.entries.append(entry)
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if self._tensorboard is None:
            return
        for name, value in entry.items():
            if isinstance(value, float) and name != "epoch":
                self._tensorboard.add_scalar(name, value, entry["iteration"])
            elif isinstance(value, str):
                self._tensorboard.add_text(name, value, entry["iteration"])
        self._tensorboard.flush()

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """The epochs at which a metric was logged, and its values there."""
        known = [(entry["epoch"], entry[name]) for entry in self.entries if name in entry]
        return [epoch for epoch, _ in known], [value for _, value in known]


def read_metrics(folder: Path) -> list[Entry]:
    """The entries of the metrics log of a run folder, in order; empty if there is no log.

    Lines that were cut off when a process was killed or the disk was full are left out.
    """
    path = folder / METRICS
    entries = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(text)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"iteration", "epoch"} <= entry.keys():
            entries.append(current_names(entry))
    return entries


def current_names(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics, with those that an earlier version wrote under the names of this one."""
    return {_EARLIER_NAMES.get(name, name): value for name, value in metrics.items()}


def _tensorboard(folder: Path, iteration: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise WrongUse(
            "--tensorboard needs the package tensorboard: pip install 'ganim[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)
