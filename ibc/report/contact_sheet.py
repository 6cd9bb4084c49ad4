"""A search as one image: the query at the left, a row of results for each ranking, distances below them.

A ``SearchReport`` flows in; the bytes of a PNG or JPEG file flow out.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from ibc.report.search_report import QueryImage, SearchReport
from ibc.report.thumbnails import JPEG_QUALITY, load_thumbnails
from ibc.retrieval.explained_search import Hit, Ranked, bit_word, counted, distance_text

SCALE = 2       # pixels for each unit below: sharp on screens of high density
MARGIN = 26
CELL, GAP = 106, 12          # side of a result, room between results
QUERY, QUERY_GAP = 178, 40   # side of the query, room to the results
HEAD, FOOT, BETWEEN = 46, 34, 14  # of a row: above its images, below them (without classes), to the next row
CLASS_SIZE, CLASS_LINES = 9.2, 3  # letters of a class, lines at most
CORNER = 7
PAPER, INK, SOFT, LINE, HOLD = "#ffffff", "#1d2430", "#5d6778", "#e3e7ee", "#eef1f5"
GOOD, BAD, PANEL = "#1c7c54", "#b3404a", "#f6f7f9"
MOST_EXAMPLES = 8


@cache
def _font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"  # matplotlib brings this font along
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), round(size * SCALE))


def contact_sheet(report: SearchReport, columns: int, kind: str = "PNG") -> bytes:
    """The sheet as a file, PNG or JPEG: ``columns`` results in a line, all results of each ranking.

    An image that is missing shows as an empty frame with its name. Raises InputError where not one image is found.
    """
    return _Sheet(report, columns).file(kind)


@dataclass
class _Place:
    """A position on the sheet, in units."""

    x: float
    y: float


class _Sheet:
    """Draws a report; every position and size is in units of SCALE pixels."""

    def __init__(self, report: SearchReport, columns: int):
        self.report = report
        self.columns = min(columns, max(len(ranked.hits) for ranked in report.rankings) or 1)
        self.examples = report.query_images[:MOST_EXAMPLES]
        files = [report.file(hit.row) for _, hit in report.hits()]
        files += [report.query_file(image) for image in self.examples]
        self.images = load_thumbnails(files, QUERY * SCALE, report.folder)
        self.left = MARGIN + QUERY + QUERY_GAP
        self.draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))  # measures text before the size of the sheet is known
        lines = max((len(self._lines(self._class_text(hit.row), CLASS_SIZE, CELL, CLASS_LINES))
                     for _, hit in report.hits()), default=0)
        self.foot = FOOT + lines * CLASS_SIZE * 1.32
        width = self.left + self.columns * (CELL + GAP) - GAP + MARGIN
        heights = [self._row_height(ranked) for ranked in report.rankings]
        height = max(MARGIN + sum(heights) + BETWEEN * (len(heights) - 1), self._query_height())
        height += MARGIN - BETWEEN
        self.canvas = Image.new("RGB", (round(width * SCALE), round(height * SCALE)), PAPER)
        self.draw = ImageDraw.Draw(self.canvas)
        self.height = height

    def file(self, kind: str) -> bytes:
        """Draw everything; the file's content."""
        divider = self.left - QUERY_GAP / 2
        self._line(divider, MARGIN, divider, self.height - MARGIN)
        self._query(_Place(MARGIN, MARGIN))
        y: float = MARGIN
        for ranked in self.report.rankings:
            self._ranking(ranked, y)
            y += self._row_height(ranked) + BETWEEN
        buffer = io.BytesIO()
        self.canvas.save(buffer, kind, optimize=True, quality=JPEG_QUALITY)  # a PNG has no quality
        return buffer.getvalue()

    def _row_height(self, ranked: Ranked) -> float:
        lines = -(-len(ranked.hits) // self.columns) or 1
        return HEAD + lines * (CELL + self.foot)

    def _query_height(self) -> float:
        """Room that the query needs from the top of the sheet."""
        across = 1 if len(self.examples) == 1 else 2
        lines = -(-len(self.examples) // across)
        images = lines * (QUERY if across == 1 else (QUERY + GAP) / 2) + 84 if lines else 0
        return MARGIN + HEAD + images + 20 * len(self._wishes())

    def _query(self, place: _Place) -> None:
        self._text(place.x, place.y, "Query", 15, bold=True)
        y = place.y + HEAD
        wishes = self._wishes()
        if self.examples:
            y = self._examples(_Place(place.x, y))
        for text, colour in wishes:
            y = self._paragraph(place.x, y, text, 12, QUERY, colour, bold=True, most=2) + 4

    def _examples(self, place: _Place) -> float:
        """The examples: one large, several in a grid with their signs; returns where the next thing may come."""
        count = len(self.examples)
        across = 1 if count == 1 else 2
        side = (QUERY - (across - 1) * GAP) / across
        for number, image in enumerate(self.examples):
            x = place.x + number % across * (side + GAP)
            y = place.y + number // across * (side + GAP)
            self._image(x, y, side, self.report.query_file(image), image.title)
            if count > 1:
                self._badge(x + 6, y + 6, image.wanted)
        y = place.y + -(-count // across) * (side + GAP) + 2
        if count == 1:
            image = self.examples[0]
            name = self._class_of(image)
            if name:
                y = self._paragraph(place.x, y, name, 12.5, QUERY, INK, bold=True, most=3) + 2
            y = self._paragraph(place.x, y, image.title, 10, QUERY, SOFT, most=2)
        else:
            wanted = sum(image.wanted for image in self.report.query_images)
            negative = len(self.report.query_images) - wanted
            text = f"{wanted} positive" + (f", {negative} negative" if negative else "") + " examples"
            y = self._paragraph(place.x, y, text, 11, QUERY, SOFT)
        return y + 8

    def _class_of(self, image: QueryImage) -> str:
        """The class of an example that is an image of the database; empty for another, and where it has none."""
        if image.number is None or not self.report.codes.paths or image.path not in self.report.codes.paths:
            return ""
        return self._class_text(self.report.codes.paths.index(image.path))

    def _class_text(self, row: int) -> str:
        """The class of an image of the database; empty without one."""
        name = self.report.class_text(row)
        return "" if name == "none" else name if self.report.class_names else f"class {name}"

    def _wishes(self) -> list[tuple[str, str]]:
        """Text and colour of each concept that is asked for."""
        return [(f"+ {name}", GOOD) for name in self.report.want] + [(f"− {name}", BAD) for name in self.report.without]

    def _ranking(self, ranked: Ranked, y: float) -> None:
        title = ranked.choice.title
        self._text(self.left, y, title[:1].upper() + title[1:], 15, bold=True, width=self._room())
        self._text(self.left, y + 22, self._subtitle(ranked), 11, colour=SOFT, width=self._room())
        for number, hit in enumerate(ranked.hits):
            x = self.left + number % self.columns * (CELL + GAP)
            line = y + HEAD + number // self.columns * (CELL + self.foot)
            self._hit(ranked, hit, x, line)

    def _room(self) -> float:
        return self.columns * (CELL + GAP) - GAP

    def _subtitle(self, ranked: Ranked) -> str:
        """The concepts of the chosen bits, with how many bits each has."""
        if ranked.choice.facts["bits"] == "all" or not ranked.choice.names:
            return f"distance: how many of the {len(ranked.used)} bits differ from the query" if (
                ranked.total == len(ranked.used)) else f"weighted distance on {len(ranked.used)} bits"
        weighted = "" if ranked.total == len(ranked.used) else "weighted distance; "
        names = ranked.choice.names
        if ranked.choice.facts["bits"] == "concepts":
            bits = ", ".join(str(bit + 1) for bit in ranked.used.tolist()[:12]) + (", …" if len(ranked.used) > 12
                                                                                  else "")
            scores = [names[bit].iou for bit in ranked.used.tolist()]
            span = f"{max(scores):.2f}" if len(scores) == 1 else f"{min(scores):.2f} to {max(scores):.2f}"
            return f"{weighted}named by the dissection: bit{'s' if len(scores) > 1 else ''} {bits}, IoU {span}"
        words = Counter(bit_word(bit, names) for bit in ranked.used.tolist())
        listed = counted([word for word, count in words.most_common() for _ in range(count)], 8)
        return f"{weighted}bits of {listed}"

    def _hit(self, ranked: Ranked, hit: Hit, x: float, y: float) -> None:
        self._image(x, y, CELL, self.report.file(hit.row), self.report.path(hit.row))
        text = distance_text(hit.distance, ranked.whole)
        self._text(x, y + CELL + 6, text, 12, bold=True)
        if ranked.used.size > 1 and ranked.total == len(ranked.used):
            offset = self.draw.textlength(text, _font(12, True)) / SCALE
            self._text(x + offset + 4, y + CELL + 7.5, f"of {len(ranked.used)}", 10, colour=SOFT)
        self._paragraph(x, y + CELL + 23, self._class_text(hit.row), CLASS_SIZE, CELL, SOFT, most=CLASS_LINES)

    def _image(self, x: float, y: float, side: float, file: str | None, name: str) -> None:
        pixels = round(side * SCALE)
        image = self.images.get(file) if file is not None else None
        mask = Image.new("L", (2 * pixels, 2 * pixels))
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, 2 * pixels - 1, 2 * pixels - 1), 2 * CORNER * SCALE, fill=255)
        mask = mask.resize((pixels, pixels), Image.Resampling.LANCZOS)
        place = (round(x * SCALE), round(y * SCALE))
        if image is None:
            self.canvas.paste(HOLD, (*place, place[0] + pixels, place[1] + pixels), mask)
            self._paragraph(x + 8, y + 10, "image not found", 10, side - 16, BAD, bold=True, most=2)
            self._paragraph(x + 8, y + 42, name, 8.5, side - 16, SOFT, most=3)
            return
        self.canvas.paste(image.resize((pixels, pixels), Image.Resampling.LANCZOS), place, mask)

    def _badge(self, x: float, y: float, wanted: bool) -> None:
        box = [round(value * SCALE) for value in (x, y, x + 20, y + 20)]
        self.draw.ellipse(box, fill=GOOD if wanted else BAD)
        self.draw.text((round((x + 10) * SCALE), round((y + 10) * SCALE)), "+" if wanted else "−", "#ffffff",
                       _font(13, True), anchor="mm")

    def _line(self, x: float, y: float, x_end: float, y_end: float) -> None:
        self.draw.line([round(value * SCALE) for value in (x, y, x_end, y_end)], LINE, SCALE)

    def _text(self, x: float, y: float, text: str, size: float, *, bold: bool = False, colour: str = INK,
              width: float | None = None) -> None:
        font, text = _font(size, bold), _plain(text)
        if width is not None:
            text = self._fitted(text, font, width)
        self.draw.text((round(x * SCALE), round(y * SCALE)), text, colour, font)

    def _fitted(self, text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
        """The text, with an ellipsis where it is wider than ``width``."""
        if self.draw.textlength(text, font) <= width * SCALE:
            return text
        while text and self.draw.textlength(text + "…", font) > width * SCALE:
            text = text[:-1]
        return text.rstrip(" ,") + "…"

    def _paragraph(self, x: float, y: float, text: str, size: float, width: float, colour: str, *,
                   bold: bool = False, most: int = 3) -> float:
        """Text in at most ``most`` lines; returns where the next line would begin."""
        for line in self._lines(text, size, width, most, bold):
            self._text(x, y, line, size, bold=bold, colour=colour)
            y += size * 1.32
        return y

    def _lines(self, text: str, size: float, width: float, most: int, bold: bool = False) -> list[str]:
        """Text broken into at most ``most`` lines, the last one with an ellipsis where more would come."""
        font = _font(size, bold)
        lines: list[str] = []
        words = _plain(text).split()
        while words and len(lines) < most:
            taken = 1
            while taken < len(words) and self.draw.textlength(" ".join(words[: taken + 1]), font) <= width * SCALE:
                taken += 1
            if len(lines) == most - 1:
                taken = len(words)
            lines.append(self._fitted(" ".join(words[:taken]), font, width))
            words = words[taken:]
        return lines


def _plain(text: str) -> str:
    """The text without line ends and other characters that cannot be drawn."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in clean).split())
