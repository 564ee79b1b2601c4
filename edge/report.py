"""One self-contained page from words, tables and plots, for light and dark, wide and narrow."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge.errors import MissingExtraError
from edge.files import explain_os_error, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

PAGE = "report.html"
WIDTH_IN, HEIGHT_IN = 7.2, 3.0
PNG_DPI = 160
DARK = "screen and (prefers-color-scheme: dark)"
"""Paper is light, whatever the screen is."""

Look = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Colors:
    """What a page and its plots are drawn in.

    Attributes:
        ink: text.
        quiet: text beside it, and axes.
        paper: behind all.
        line: borders and grids.
        cycle: one after the other for what is compared; told apart by the colour-blind too.
        warning: what stands out.
    """

    ink: str
    quiet: str
    paper: str
    line: str
    cycle: tuple[str, ...]
    warning: str


Draw: TypeAlias = "Callable[[Figure, Colors], None]"
"""Draws a plot on a figure in the colours given."""

COLORS: Mapping[Look, Colors] = {
    "light": Colors(
        "#1d2329", "#5b6672", "#fdfdfc", "#dfe3e7",
        ("#2f72ab", "#c4572b", "#2d8659", "#8a5aa8", "#a67c00", "#5b6672"), "#c4572b",
    ),
    "dark": Colors(
        "#e4e8ec", "#98a3ae", "#16191d", "#30363d",
        ("#5b9bd0", "#e58055", "#57b586", "#b48ad0", "#d3a625", "#98a3ae"), "#e58055",
    ),
}  # fmt: skip


class Page:
    """A report in the making; `write` puts it and its pictures into a folder.

    Args:
        title: heading of the page.
        lead: the sentence below it.

    Raises:
        MissingExtraError: from `add_plot`, where matplotlib is not installed.
    """

    def __init__(self, title: str, lead: str) -> None:
        self._title = self._section = title
        self._parts = [f"<h1>{escape(title)}</h1>", f"<p class=quiet>{escape(lead)}</p>"]
        self._pictures: dict[str, bytes] = {}

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._section = text
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def add_text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def add_warnings(self, texts: Sequence[str]) -> None:
        """Add what a reader must know before the figures; nothing where there is nothing."""
        if texts:
            rows = "".join(f"<li>{escape(text)}</li>" for text in texts)
            self._parts.append(f"<ul class=warnings>{rows}</ul>")

    def add_figures(self, figures: Mapping[str, str]) -> None:
        """Add the few figures that matter, large: name to value with its unit."""
        rows = (
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
            for name, value in figures.items()
        )
        self._parts.append(f"<dl class=figures>{''.join(rows)}</dl>")

    def add_table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; its first column is text, the others are figures."""
        head = "".join(f"<th scope=col>{escape(text)}</th>" for text in heads)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows
        )
        self._parts.append(
            f'<div class=scroll tabindex=0 role=region aria-label="{escape(self._section)}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            "</div>"
        )

    def add_html(self, part: str) -> None:
        """Add markup of the caller's own, who escapes what is in it."""
        self._parts.append(part)

    def add_plot(
        self,
        name: str,
        caption: str,
        draw: Draw,
        *,
        height_in: float = HEIGHT_IN,
    ) -> None:
        """Add a plot, drawn once for light and once for dark; `write` also makes NAME.png of it.

        Args:
            name: of the picture's file, without suffix.
            caption: what is seen, also for those who cannot see it.
            draw: draws on the figure given, in the colours given; called three times.
            height_in: of the plot, which is `WIDTH_IN` wide.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        light, dark = (_draw(draw, look, "svg", height_in) for look in ("light", "dark"))
        self._pictures[f"{name}.png"] = _draw(draw, "light", "png", height_in)
        self._parts.append(
            f"<figure class=wide tabindex=0><picture>"
            f'<source media="{DARK}" srcset="{_inline(dark)}">'
            f'<img src="{_inline(light)}" alt="{escape(caption)}">'
            f"</picture><figcaption>{escape(caption)}</figcaption></figure>"
        )

    def to_html(self) -> str:
        """Give the page."""
        return write_page(self._title, self._parts)

    def write(self, folder: Path) -> Path:
        """Write the page and its pictures; the folder is made where it is missing.

        Returns:
            The page's file.

        Raises:
            InputError: the folder cannot be made or written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os_error(folder, error) from error
        for name, png in self._pictures.items():
            write_atomic(folder / name, png)
        write_atomic(folder / PAGE, self.to_html().encode())
        return folder / PAGE


def check_plotting() -> None:
    """Refuse a report that could not be drawn, before long work is done for it.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", extra="report")


def write_page(title: str, parts: Sequence[str], style: str = "") -> str:
    """Give a whole page around parts of markup.

    Args:
        title: of the window.
        parts: escaped by the caller.
        style: more rules than those that all pages have.
    """
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_variables()}{STYLE}{style}</style></head>"
        "<body><main>"
    )
    return "\n".join([head, *parts, "</main></body></html>", ""])


def shorten(name: str, most: int) -> str:
    """Leave out the middle of a name of more letters: most names differ at their ends."""
    return name if len(name) <= most else f"{name[: most // 3]}…{name[most // 3 + 1 - most :]}"


def escape(words: str) -> str:
    """Give words as markup."""
    return html.escape(words)


def _draw(draw: Draw, look: Look, form: Literal["svg", "png"], height_in: float) -> bytes:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", extra="report") from error
    colors = COLORS[look]
    with mpl.rc_context(_settings(colors)):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        draw(figure, colors)
        out = io.BytesIO()
        made = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=PNG_DPI, metadata=made)
    return out.getvalue()


def _settings(colors: Colors) -> dict[str, object]:
    from cycler import cycler

    return {
        "svg.hashsalt": "edge",  # same figures, same bytes
        "font.size": 9,
        "text.color": colors.ink,
        "figure.facecolor": colors.paper,
        "axes.facecolor": colors.paper,
        "axes.edgecolor": colors.quiet,
        "axes.labelcolor": colors.ink,
        "axes.titlesize": 9,
        "axes.prop_cycle": cycler(color=colors.cycle),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": colors.line,
        "grid.linewidth": 0.6,
        "xtick.color": colors.quiet,
        "ytick.color": colors.quiet,
        "xtick.labelcolor": colors.ink,
        "ytick.labelcolor": colors.ink,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
    }


def _inline(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _variables() -> str:
    light, dark = (
        f"--ink: {one.ink}; --quiet: {one.quiet}; --paper: {one.paper}; --line: {one.line};"
        f" --bar: {one.cycle[0]}; --warning: {one.warning};"
        for one in (COLORS["light"], COLORS["dark"])
    )
    return f":root {{ color-scheme: light dark; {light} }} @media {DARK} {{ :root {{ {dark} }} }}"


STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 1rem; max-width: 44rem; }
.quiet { color: var(--quiet); overflow-wrap: anywhere; }
.warnings { margin: 1rem 0; padding: .5rem 1rem .5rem 2rem; border-left: 3px solid var(--warning); }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.5rem 0 0; }
dt { color: var(--quiet); font-size: .85rem; }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: .85rem; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
td:first-child { overflow-wrap: anywhere; min-width: 8rem; }
th:not(:first-child), td:not(:first-child) { text-align: right; padding: .3rem 0 .3rem .75rem;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
.wide img { width: 100%; min-width: 36rem; max-width: 60rem; }
figcaption { font-size: .85rem; color: var(--quiet); margin-top: .25rem; overflow-wrap: anywhere; }
@media print {
  :root, body { font-size: 12px; }
  h2 { break-after: avoid; }
  figure, tr, .figures > div { break-inside: avoid; }
  .scroll, .wide { overflow: visible; }
  .wide img { min-width: 0; }
  td:first-child { min-width: 5rem; }
  th:not(:first-child), td:not(:first-child) { white-space: normal; padding-left: .4rem; }
}
"""
