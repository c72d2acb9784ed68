"""A sheet of paper to draw on, measured in pixels from its top left corner. Does not own what is drawn."""

from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from bot.charts.lettering import Lettering
from bot.graphemes import is_boundary

_DPI = 100
_POINTS_PER_INCH = 72

Side = Literal["left", "center", "right"]


class Sheet:
    """An opaque sheet of one colour; `figure` is what matplotlib saves."""

    def __init__(self, width: int, height: int, *, colour: str, lettering: Lettering) -> None:
        self._width, self._height = width, height
        self._lettering = lettering
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=colour)
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call]  # it has no types

    def font(self, size: int, *, is_bold: bool = False) -> FontProperties:
        """Return the font at a size in pixels."""
        points = size * _POINTS_PER_INCH / _DPI
        return FontProperties(family=self._lettering.families, size=points, weight="bold" if is_bold else "normal")

    def write(
        self, x: int, baseline: int, text: str, *, font: FontProperties, colour: str, side: Side = "left"
    ) -> None:
        """Write one line with its `side` at x. The text is taken as it is: `$` begins no formula."""
        self.figure.text(
            x / self._width,
            1 - baseline / self._height,
            self._lettering.drawable(text),
            parse_math=False,
            fontproperties=font,
            color=colour,
            horizontalalignment=side,
            verticalalignment="baseline",
        )

    def measure(self, text: str, font: FontProperties) -> float:
        """Return the width of a line in pixels."""
        width, _, _ = self._renderer.get_text_width_height_descent(self._lettering.drawable(text), font, ismath=False)
        return float(width)

    def shorten(self, text: str, *, font: FontProperties, width: int) -> str:
        """Return the text if it fits into a width in pixels, else as much of it as fits, and an ellipsis."""
        if self.measure(text, font) <= width:
            return text
        cuts = (cut for cut in range(len(text) - 1, 0, -1) if is_boundary(text, cut))
        shorter = (text[:cut].rstrip() + "…" for cut in cuts)
        return next((each for each in shorter if self.measure(each, font) <= width), "…")

    def block(self, left: int, top: int, size: int, fill: dict[str, Any]) -> None:
        """Draw a square, filled as a bar would be."""
        corner = (left / self._width, 1 - (top + size) / self._height)
        self.figure.add_artist(
            Rectangle(corner, size / self._width, size / self._height, transform=self.figure.transFigure, **fill)
        )

    def plot(self, left: int, top: int, right: int, bottom: int) -> Axes:
        """Return empty axes within these edges, without frame, ticks or background."""
        axes = self.figure.add_axes(
            (
                left / self._width,
                1 - bottom / self._height,
                (right - left) / self._width,
                (bottom - top) / self._height,
            ),
        )
        axes.set_axis_off()
        return axes
