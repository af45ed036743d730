"""Makes seeds/: small inputs from which the fuzz targets start, besides the files of tests/data.

python tests/fuzz/make_seeds.py          # from a Python that has the package in tools/ and Pillow
"""

import io
import random
import struct
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mien_tools import cascade, container

HERE = Path(__file__).parent
ORIENTATION = 0x0112
SIDE = 48  # of FER2013's faces


def save(target: str, name: str, data: bytes) -> None:
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def cascades() -> None:
    upright = [cascade.WeightedRect(0, 0, 6, 4, -1), cascade.WeightedRect(0, 0, 3, 4, 2)]
    tilted = [cascade.WeightedRect(3, 0, 2, 2, -1), cascade.WeightedRect(4, 1, 1, 1, 4)]
    features = [cascade.Feature(upright, False), cascade.Feature(tilted, True)]
    stump = cascade.Tree([cascade.Node(0, -1, 0, 0.1)], [-0.5, 0.5])
    tree = cascade.Tree(
        [cascade.Node(1, 0, 1, 0.0), cascade.Node(-1, -2, 0, 0.2)], [-0.5, 0.25, 0.75]
    )
    for name, trees in (("stump", [stump]), ("tree", [tree]), ("both", [stump, tree])):
        stages = [cascade.Stage(0.1, trees)] * (2 if name == "both" else 1)
        made = cascade.Cascade("", "", 8, 7, features, stages)
        save("cascade", name + ".haar", made.pack())
    all_windows = cascade.Stage(-1.0, [stump])
    made = cascade.Cascade("", "", 6, 5, features[:1], [all_windows])
    save("cascade", "all.haar", made.pack())


def picture_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pictures() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (9, 17, 4), dtype=np.uint8)
    gray = Image.fromarray(noise[:, :, 0])
    color = Image.fromarray(noise[:, :, :3])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    files = {
        "gray.jpg": picture_bytes(gray, "JPEG"),
        "color.jpg": picture_bytes(color, "JPEG", quality=50, subsampling=2),
        "progressive.jpg": picture_bytes(color, "JPEG", progressive=True, optimize=True),
        "restarts.jpg": picture_bytes(gray, "JPEG", restart_marker_blocks=1),
        "turned.jpg": picture_bytes(gray, "JPEG", exif=exif, optimize=True),
        "gray.png": picture_bytes(gray, "PNG"),
        "color.png": picture_bytes(color, "PNG"),
        "alpha.png": picture_bytes(Image.fromarray(noise), "PNG"),
        "palette.png": picture_bytes(color.quantize(5), "PNG"),
        "bits.png": picture_bytes(gray.convert("1"), "PNG"),
        "deep.png": picture_bytes(Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257), "PNG"),
        "color.bmp": picture_bytes(color, "BMP"),
        "palette.bmp": picture_bytes(color.quantize(5), "BMP"),
        "gray.pgm": picture_bytes(gray, "PPM"),
        "color.ppm": picture_bytes(color, "PPM"),
        "comment.pgm": b"P5 # 3 x 2\n3 2 65535\n" + bytes(range(12)),
    }
    for name, data in files.items():
        save("picture", name, data)


def arrays() -> None:
    values = np.arange(6).reshape(1, 2, 3)
    kinds = {
        "float32": values.astype("<f4"),
        "float64": values.astype("<f8"),
        "uint8": values.astype(np.uint8),
        "fortran": np.asfortranarray(values.astype("<f4")),
        "number": np.float32(1),
        "none": np.zeros((0, 3), np.float32),
    }
    for name, array in kinds.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asanyarray(array), version=(1, 0))
        save("npy", name + ".npy", stream.getvalue())


def tables() -> None:
    pixels = " ".join(["7"] * (SIDE * SIDE - 1) + ["255"])
    save("fer_csv", "face.csv", f"emotion,pixels,Usage\n3,{pixels},Training\n".encode())
    save("fer_csv", "bare.csv", f'pixels,emotion\r\n"{pixels}",0\r\n'.encode())
    save("fer_csv", "short.csv", b"emotion,pixels,Usage\n6,0 1 2 255,PublicTest\n")


def programs() -> None:
    """What the targets graph and video take for instructions."""
    dice = random.Random(1)
    for number in range(12):
        save("graph", f"{number:02}", bytes(dice.randrange(256) for _ in range(90)))
    for number in range(4):
        options = bytes([31, 23, number % 2, 1, 1, number, 2, 3, 3, 1, 2, 0, 0, 4, 4, 0, 0])
        frame = bytes(255 if x % 16 < 8 else dice.randrange(64) for x in range(32 * 24 * 3))
        save("video", str(number), options + 2 * frame)


def weights() -> None:
    """A network of one input of any size, for the fields that the files in tests/data lack."""
    text = container.string
    node = text("ReLU") + text("") + struct.pack("<BHIH", 0, 1, 0, 0)
    ends = text("output") + struct.pack("<I", 1)
    inputs = b"".join(text(name) + struct.pack("<III", 1, 0, 0) for name in ("a",))
    rest = struct.pack("<IIfIBfffII", 0, 0, 1.0, 0, 0, 0.0, 1.0, 1e-3, 0, 0)
    one = struct.pack("<I", 1)
    body = text("any") + one + inputs + one + node + one + ends + rest
    save("weight_file", "any_size.mien", container.seal("MIEN", 2, body))


def models() -> None:
    """Small models of ONNX: a list of nodes each, with the constants that they name."""
    rng = np.random.default_rng(1)

    def of(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape).astype(np.float32)

    def shape(*sizes: int) -> np.ndarray:
        return np.array(sizes, np.int64)

    node = helper.make_node
    conv = node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    weights = {"w": of(4, 2, 3, 3), "b": of(4)}
    norm = node("BatchNormalization", ["c", "g", "h", "m", "v"], ["n"])
    moments = {"g": of(4), "h": of(4), "m": of(4), "v": np.abs(of(4)) + 1}
    chains = {
        "classifier": (
            [
                conv,
                norm,
                node("Relu", ["n"], ["r"]),
                node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                node("Flatten", ["p"], ["f"]),
                node("Gemm", ["f", "d", "e"], ["y"], transB=1),
            ],
            weights | moments | {"d": of(3, 36), "e": of(3)},
        ),
        "residual": (
            [
                conv,
                node("Clip", ["c", "low", "high"], ["k"]),
                node("Concat", ["x", "x"], ["j"], axis=1),
                node("Add", ["k", "j"], ["a"]),
                node("GlobalAveragePool", ["a"], ["q"]),
                node("Mul", ["a", "q"], ["y"]),
            ],
            weights | {"low": np.float32(0), "high": np.float32(6)},
        ),
        "views": (
            [
                node("Reshape", ["x", "s"], ["a"]),
                node("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3, 4]),
                node("Reshape", ["t", "u"], ["b"]),
                node("Slice", ["b", "one", "two", "one"], ["k"]),
                node("Pad", ["k", "around"], ["z"]),
                node("Softmax", ["z"], ["y"], axis=1),
            ],
            {
                "s": shape(1, 1, 2, 6, 7),
                "u": shape(1, 2, 6, 7),
                "one": shape(1),
                "two": shape(2),
                "around": shape(0, 0, 1, 1, 0, 0, 1, 1),
            },
        ),
        "upwards": (
            [
                node("ConvTranspose", ["x", "w"], ["c"], strides=[2, 2]),
                node("Resize", ["c", "", "scales"], ["r"], mode="linear"),
                node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=1),
                node("Sigmoid", ["m"], ["g"]),
                node("Sub", ["r", "g"], ["y"]),
            ],
            {"w": of(2, 3, 2, 2), "scales": np.array([1, 1, 2, 2], np.float32)},
        ),
    }
    for name, (nodes, constants) in chains.items():
        graph = helper.make_graph(
            nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 6, 7])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, key) for key, values in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        save("onnx", name + ".onnx", model.SerializeToString())


def main() -> None:
    cascades()
    models()
    pictures()
    arrays()
    tables()
    programs()
    weights()


if __name__ == "__main__":
    main()
