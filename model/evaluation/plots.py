"""Plots for the page of an evaluation."""

from collections.abc import Mapping

import numpy as np

from ...pipeline.report import pages

_GREY = "#8a929b"  # has enough contrast on the light and on the dark page
_COLOURS = (_GREY, "#3a78c2", "#d9822b")


def spectrum_plot(spectra: Mapping[str, np.ndarray]) -> str:
    """Plot power spectra as inline SVG.

    spectra: by label, (frequencies,) in dB, from 1 cycle per picture on. The frequency axis is
    logarithmic, on which the spectra of photographs are nearly straight.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(7.6, 3.2))
    axes = figure.add_axes((0.08, 0.15, 0.9, 0.82))
    for index, (label, spectrum) in enumerate(spectra.items()):
        axes.plot(
            np.arange(1, len(spectrum) + 1),
            spectrum,
            color=_COLOURS[index % len(_COLOURS)],
            linestyle="--" if index > 1 else "-",
            linewidth=1.5,
            label=label,
            gid=f"spectrum-{index}",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([1, 2, 4, 8, 16, 32, 64]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("cycles per picture", color=_GREY, fontsize=9)
    axes.set_ylabel("power, dB", color=_GREY, fontsize=9)
    axes.legend(fontsize=9, frameon=False, labelcolor=_GREY)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.tick_params(colors=_GREY, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    return pages.svg_element(figure, "spectrum")
