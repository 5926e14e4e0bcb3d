"""Prints a perceptual hash of every image under a folder: `image_hashes.py DIR BITS`, a line `HEX,PATH` each.

Real codes for `cargo bench --bench index -- --real FILE`. Wants the packages imagehash and pillow.
64 and 256 bits: the DCT hash of 8 x 8 and 16 x 16 coefficients.
"""

import os
import sys
from multiprocessing import Pool

import imagehash
from PIL import Image, UnidentifiedImageError


def line(job):
    path, side = job
    try:
        image = Image.open(path).convert("RGBA")
    except (OSError, UnidentifiedImageError):
        return None
    # What is transparent is shown on white.
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return f"{imagehash.phash(page.convert('RGB'), side)},{path}"


def main():
    folder, bits = sys.argv[1], int(sys.argv[2])
    side = {64: 8, 256: 16}[bits]
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    try:
        with Pool() as pool:
            for text in pool.imap(line, [(path, side) for path in paths], 64):
                if text:
                    print(text)
    except BrokenPipeError:  # Whoever read this has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
