"""Draw boxes, arrows and words as SVG that reads well on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

RADIUS = 9.0
"""Of the corners of arrows."""

STYLE = """
.ground { fill: #ffffff } .area { fill: #f4f6f8; stroke: #d5dbe1 }
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.small { font-size: 12px; fill: #57606a } .code { font-family: ui-monospace, Menlo, Consolas, monospace }
.head { font-weight: 600 } .name { font-weight: 600; font-size: 12px }
.box { stroke-width: 1.5 } .arrow { fill: none; stroke: #57606a; stroke-width: 1.5 } .tip { fill: #57606a }
.dashed { stroke-dasharray: 5 4 } .bad { stroke: #cf222e } .bad-tip { fill: #cf222e }
.plain { fill: #ffffff; stroke: #8c959f } .blue { fill: #ddf4ff; stroke: #218bff }
.amber { fill: #fff8c5; stroke: #bf8700 } .green { fill: #dafbe1; stroke: #2da44e }
.red { fill: #ffebe9; stroke: #cf222e } .violet { fill: #fbefff; stroke: #a475f9 }
@media (prefers-color-scheme: dark) {
  .ground { fill: #161b22 } .area { fill: #1c2128; stroke: #3d444d }
  text { fill: #e6edf3 } .small { fill: #a8b1bb } .arrow { stroke: #a8b1bb } .tip { fill: #a8b1bb }
  .bad { stroke: #ff7b72 } .bad-tip { fill: #ff7b72 }
  .plain { fill: #21262d; stroke: #8b949e } .blue { fill: #0c2d6b; stroke: #58a6ff }
  .amber { fill: #4b2f00; stroke: #d29922 } .green { fill: #0f3d20; stroke: #3fb950 }
  .red { fill: #5d1316; stroke: #f85149 } .violet { fill: #3a1f66; stroke: #bc8cff }
}
"""


class Picture:
    """A picture that grows by what is drawn.

    Args:
        width: in pixels, as it is meant to be seen.
        height: likewise.
        title: what it shows, in a few words.
        description: what somebody who does not see it should know.
    """

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._head = (title, description)
        self._parts: list[str] = []

    def box(
        self, at: Point, size: Point, words: Sequence[str] = (), kind: str = "plain", word: str = "name"
    ) -> None:
        """Draw a box with words in its middle, one a line."""
        (x, y), (width, height) = at, size
        corners = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7"'
        self._parts.append(f'<rect class="box {kind}" {corners}/>')
        first = y + height / 2 + 4.5 - 8.5 * (len(words) - 1)
        for number, line in enumerate(words):
            self.text((x + width / 2, first + 17 * number), line, word, "middle")

    def text(self, at: Point, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write words at the left end of their base line, or at its middle."""
        style = f' class="{kind}"' if kind else ""
        place = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(f'<text x="{at[0]:g}" y="{at[1]:g}"{style}{place}>{escape(words, quote=False)}</text>')

    def arrow(self, *points: Point, kind: str = "", has_tip: bool = True) -> None:
        """Draw an arrow along points, with round corners."""
        path = f"M{_at(points[0])}"
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            path += f" L{_at(_towards(corner, before))} Q{_at(corner)} {_at(_towards(corner, after))}"
        end = _towards(points[-1], points[-2], 4) if has_tip else points[-1]
        classes = f"arrow {kind}".strip()
        self._parts.append(f'<path class="{classes}" d="{path} L{_at(end)}"/>')
        if has_tip:
            self._tip(points[-2], points[-1], "bad-tip" if "bad" in kind else "tip")

    def _tip(self, before: Point, end: Point, kind: str) -> None:
        back = _towards(end, before, 9)
        across = ((back[1] - end[1]) * 0.5, (end[0] - back[0]) * 0.5)
        sides = [(back[0] + sign * across[0], back[1] + sign * across[1]) for sign in (1, -1)]
        self._parts.append(f'<path class="{kind}" d="M{_at(end)} L{_at(sides[0])} L{_at(sides[1])} Z"/>')

    def svg(self) -> str:
        """Return the picture as the text of an SVG file."""
        title, description = (escape(words, quote=False) for words in self._head)
        size = f'width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title description">'
        ground = f'<rect class="ground" width="{self.width}" height="{self.height}" rx="10"/>'
        about = f'<title id="title">{title}</title>\n<desc id="description">{description}</desc>'
        return "\n".join([head, about, f"<style>{STYLE}</style>", ground, *self._parts, "</svg>"]) + "\n"


def _at(point: Point) -> str:
    return f"{round(point[0], 1):g} {round(point[1], 1):g}"


def _towards(start: Point, goal: Point, distance: float = RADIUS) -> Point:
    """Return the point that is some pixels from one to another, at most halfway."""
    across, down = goal[0] - start[0], goal[1] - start[1]
    part = min(distance / ((across**2 + down**2) ** 0.5), 0.5)
    return start[0] + across * part, start[1] + down * part
