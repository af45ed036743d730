#!/usr/bin/env python3
"""Makes text.txt: letters of the pictures' font as FreeType draws them, through Matplotlib.

The font has no hints; FreeType is told not to make up any. A line is

    size character left top width height advance pixels

with the pixels' coverage row by row in hexadecimal, `top` counted downwards from the baseline, and
the advance in pixels.

    python tests/data/make_text.py    # made with Matplotlib 3.11
"""

from pathlib import Path

import numpy as np
from matplotlib import ft2font

FOLDER = Path(__file__).parent
FONT = FOLDER.parents[1] / "examples/fonts/DejaVuSans-Bold-subset.ttf"
LETTERS = "aegmy8%SW@|_"
SIZES = (12, 17, 32)
DPI = 72  # so that points are pixels


def line(size: int, letter: str) -> str:
    font = ft2font.FT2Font(str(FONT))
    font.set_size(size, DPI)
    glyph = font.load_char(ord(letter), flags=ft2font.LoadFlags.NO_HINTING)
    # A glyph's bitmap has FreeType's box of whole pixels around its outline.
    left, bottom, right, top = (side / 64 for side in glyph.bbox)
    left, bottom = int(np.floor(left)), int(np.floor(bottom))
    width, height = int(np.ceil(right)) - left, int(np.ceil(top)) - bottom
    font.set_text(letter, 0.0, flags=ft2font.LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap(antialiased=True)
    image = np.asarray(font.get_image())
    pixels = image[:height, :width]
    assert pixels.shape == (height, width) and pixels.sum() == image.sum(), (size, letter)
    place = f"{left} {-bottom - height} {width} {height}"
    return f"{size} {letter} {place} {glyph.linearHoriAdvance / 65536:.4f} {pixels.tobytes().hex()}"


def main() -> None:
    lines = [line(size, letter) for size in SIZES for letter in LETTERS]
    (FOLDER / "text.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
