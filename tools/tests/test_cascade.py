"""The cascade converter: its bytes, what it refuses, and the files that come with the project."""

import re
import stat
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien_tools import cascade
from mien_tools.cascade import leading_comments, read_cascade
from mien_tools.container import FormatError, seal, unseal

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "tests" / "data"
MODELS = REPOSITORY / "examples" / "models"
DEFAULT_XML = Path("/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml")

NOTICE = "\n    Copyright of somebody.\n\n  * Keep this notice.\n"


def make_xml(
    *,
    comment: str = NOTICE,
    stage_type: str = "BOOST",
    feature_type: str = "HAAR",
    width: str = "20",
    height: str = "10",
    threshold: str = "-1.5",
    nodes: str = "0 -1 0 0.1",
    leaves: str = "0.25 -0.75",
    rects: tuple[str, ...] = ("1 2 6 4 -1.", "3 2 2 4 3."),
    tilted: str = "<tilted>0</tilted>",
) -> bytes:
    rect_elements = "".join(f"<_>{rect}</_>" for rect in rects)
    return f"""<?xml version="1.0"?>
<!--{comment}-->
<opencv_storage>
<cascade type_id="opencv-cascade-classifier">
  <stageType>{stage_type}</stageType><featureType>{feature_type}</featureType>
  <height>{height}</height><width>{width}</width>
  <stages><_><stageThreshold>{threshold}</stageThreshold>
    <weakClassifiers><_><internalNodes>{nodes}</internalNodes>
      <leafValues>{leaves}</leafValues></_></weakClassifiers></_></stages>
  <features><_><rects>{rect_elements}</rects>{tilted}</_>
    <_><rects><_>12 1 3 4 1.</_></rects><tilted>1</tilted></_></features>
</cascade></opencv_storage>""".encode()


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        read_cascade(data, "x")
    return str(error.value)


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mien_tools.cascade", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY / "tools",
    )


def test_every_byte_of_a_small_cascade():
    notice = b"    Copyright of somebody.\n\n  * Keep this notice."
    stage_threshold = np.float32(-1.5) - np.float32(1e-5)
    body = struct.pack("<H", 4) + b"name" + struct.pack("<H", len(notice)) + notice
    body += struct.pack("<BB", 20, 10)
    body += struct.pack("<I", 2)
    body += struct.pack("<BB4Bh4Bh", 0, 2, 1, 2, 6, 4, -1, 3, 2, 2, 4, 3)
    body += struct.pack("<BB4Bh", 1, 1, 12, 1, 3, 4, 1)
    body += struct.pack("<IfI", 1, stage_threshold, 1)
    body += struct.pack("<BhhIf", 1, 0, -1, 0, 0.1)
    body += struct.pack("<ff", 0.25, -0.75)
    assert read_cascade(make_xml(), "name").pack() == seal("HAAR", 1, body)


def test_numbers_are_rounded_to_double_and_then_to_single():
    # Just above the middle between 1 and the next float; the double nearest to it is that middle.
    threshold = "1.00000005960464477540"
    [stage] = read_cascade(make_xml(nodes=f"0 -1 0 {threshold}"), "x").stages
    assert stage.trees[0].nodes[0].threshold == 1.0


def test_tilted_may_be_left_out():
    xml = make_xml(tilted="")
    assert [feature.tilted for feature in read_cascade(xml, "x").features] == [False, True]


def test_nodes_are_numbered_parents_first():
    xml = make_xml(nodes="2 0 0 0.5 -1 -2 1 0.25 1 -3 0 0.125", leaves="1 2 3 4")
    nodes = read_cascade(xml, "x").stages[0].trees[0].nodes
    assert [(n.left, n.right, n.feature, float(n.threshold)) for n in nodes] == [
        (1, 0, 0, 0.5),
        (2, -3, 0, 0.125),
        (-1, -2, 1, 0.25),
    ]


def test_opencv_ignores_the_children_of_stumps():
    nodes = read_cascade(make_xml(nodes="-1 0 0 0.5"), "x").stages[0].trees[0].nodes
    assert (nodes[0].left, nodes[0].right) == (0, -1)


@pytest.mark.parametrize("name", ["tiny_stumps", "tiny_trees"])
def test_the_test_cascades_are_current(name):
    xml = (DATA / f"{name}.xml").read_bytes()
    assert read_cascade(xml, name).pack() == (DATA / f"{name}.haar").read_bytes()


def test_the_shipped_cascade_carries_its_licence():
    name = "haarcascade_frontalface_default"
    data = (MODELS / f"{name}.haar").read_bytes()
    licence = (MODELS / f"{name}.LICENSE.txt").read_text().rstrip("\n")
    assert "Copyright (C) 2000, Intel Corporation" in licence
    assert licence.encode() in unseal(data, "HAAR", 1, name)


@pytest.mark.skipif(not DEFAULT_XML.exists(), reason="needs the Debian package opencv-data")
def test_the_shipped_cascade_is_opencvs():
    xml = DEFAULT_XML.read_bytes()
    shipped = (MODELS / f"{DEFAULT_XML.stem}.haar").read_bytes()
    assert read_cascade(xml, DEFAULT_XML.stem).pack() == shipped
    assert leading_comments(xml) + "\n" == (MODELS / f"{DEFAULT_XML.stem}.LICENSE.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_type": "OTHER"}, "stageType: expected BOOST, found OTHER"),
        ({"feature_type": "LBP"}, "featureType: expected HAAR, found LBP"),
        ({"feature_type": "HOG"}, "featureType: expected HAAR, found HOG"),
        ({"feature_type": ""}, "featureType: expected HAAR, found nothing"),
        ({"width": "2"}, "width: expected 3 to 255, found 2"),
        ({"height": "256"}, "height: expected 3 to 255, found 256"),
        ({"height": "ten"}, "height: expected an integer, found ten"),
        (
            {"threshold": "1e39"},
            "stage 0, stageThreshold: expected a finite number, found 1e39",
        ),
        ({"threshold": ""}, "stage 0, stageThreshold: expected a finite number, found nothing"),
        (
            {"nodes": "0 -1 0 nan"},
            "stage 0, weak classifier 0, node 0, threshold: expected a finite number, found nan",
        ),
        (
            {"nodes": "0 -1 0"},
            "stage 0, weak classifier 0, internalNodes: expected 4 numbers a node (left, right, "
            "feature, threshold), found 3 numbers",
        ),
        (
            {"nodes": ""},
            "stage 0, weak classifier 0, internalNodes: expected 4 numbers a node (left, right, "
            "feature, threshold), found 0 numbers",
        ),
        (
            {"nodes": "0 -1 2 0.5"},
            "stage 0, weak classifier 0, node 0, feature: expected 0 to 1, found 2",
        ),
        (
            {"nodes": "0 -1 -1 0.5"},
            "stage 0, weak classifier 0, node 0, feature: expected 0 to 1, found -1",
        ),
        (
            {"nodes": "0 -1 0.0 0.5"},
            "stage 0, weak classifier 0, node 0: expected an integer, found 0.0",
        ),
        (
            {"nodes": "1 0 0 0.5 2 -1 0 0.5", "leaves": "1 2 3"},
            "stage 0, weak classifier 0, node 1, child: expected a node from 1 to 1 or a leaf "
            "from 0 to -2, found 2",
        ),
        (
            {"nodes": "0 -2 0 0.5"},
            "stage 0, weak classifier 0, node 0, child: expected a leaf from 0 to -1, found -2",
        ),
        (
            {"nodes": "1 0 0 0.5 2 -1 0 0.5 1 -2 0 0.5", "leaves": "1 2 3 4"},
            "stage 0, weak classifier 0: expected a tree, found a cycle of nodes: ",
        ),
        (
            {"leaves": "1 2 3"},
            "stage 0, weak classifier 0, leafValues: expected 2 (one more than nodes), found 3",
        ),
        (
            {"leaves": "1 x"},
            "stage 0, weak classifier 0, leafValues: expected a finite number, found x",
        ),
        ({"rects": ()}, "feature 0, rects: expected at least one entry, found none"),
        ({"rects": ("0 0 1 1 1",) * 4}, "feature 0: expected 1 to 3 rectangles, found 4"),
        (
            {"rects": ("0 0 1 1",)},
            "feature 0, rectangle 0: expected 5 numbers (x, y, width, height, weight), found 4",
        ),
        (
            {"rects": ("0 0 1 1 0.5",)},
            "feature 0, rectangle 0, weight: expected a 16-bit integer, found 0.5",
        ),
        (
            {"rects": ("0 0 1 1 1", "15 0 6 2 -1")},
            "feature 0, rectangle 1: expected an upright rectangle inside the window of 20 x 10, "
            "found x 15, y 0, width 6, height 2",
        ),
        (
            {"rects": ("-1 0 6 2 -1",)},
            "feature 0, rectangle 0: expected an upright rectangle inside the window of 20 x 10, "
            "found x -1, y 0, width 6, height 2",
        ),
        (
            {"rects": ("3 0 2 4 -1",), "tilted": "<tilted>1</tilted>"},
            "feature 0, rectangle 0: expected a tilted rectangle inside the window of 20 x 10, "
            "found x 3, y 0, width 2, height 4",
        ),
        (
            {"rects": ("0 0 20 10 329",)},
            "feature 0: expected a sum of |weight| * pixels * 255 below 16777216, found 16779000",
        ),
    ],
)
def test_refused(changes, message):
    assert refusal(make_xml(**changes)).startswith(message)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("stages", "cascade: expected an element <stages>, found <stageType>, <featureType>, "),
        ("features", "cascade: expected an element <features>, found <stageType>, "),
        ("leafValues", "stage 0, weak classifier 0: expected an element <leafValues>, found "),
        ("weakClassifiers", "stage 0: expected an element <weakClassifiers>, found "),
    ],
)
def test_a_missing_element_is_named(tag, message):
    xml = re.sub(f"<{tag}>.*</{tag}>", "", make_xml().decode(), flags=re.DOTALL)
    assert refusal(xml.encode()).startswith(message)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_declarations_of_entities_are_refused_unread(encoding):
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">\n' for i in range(30))
    text = make_xml(width="&l29;").decode().removeprefix('<?xml version="1.0"?>')
    document = f"<!DOCTYPE opencv_storage [{laughs}]>{text}"
    assert refusal(document.encode(encoding)) == "expected XML without a DOCTYPE, found one"
    # Long ones that appear often, below what expat itself refuses.
    long = f'<!DOCTYPE opencv_storage [<!ENTITY a "{"1" * 1000}">]>'
    assert "DOCTYPE" in refusal((long + text.replace("&l29;", "&a;" * 1000)).encode(encoding))
    assert "DOCTYPE" in refusal(b'<!DOCTYPE opencv_storage SYSTEM "file:///etc/passwd">' + b"<a/>")


def test_another_file_is_refused():
    assert refusal(b"").startswith("expected well-formed XML, found: no element found")
    assert refusal(make_xml()[:-200]).startswith("expected well-formed XML, found: ")
    assert refusal(b"<svg><g/></svg>") == (
        "expected an element <opencv_storage> with a cascade in it, found <svg> with 1 elements"
    )
    old = make_xml().replace(b"opencv-cascade-classifier", b"opencv-haar-classifier")
    assert refusal(old) == (
        "<cascade>: expected the format of opencv_traincascade (opencv-cascade-classifier), "
        "found the old one (opencv-haar-classifier)"
    )


def test_truncated_xml_is_refused_wherever_it_ends():
    xml = make_xml()
    for size in range(len(xml)):
        refusal(xml[:size])


def test_the_command_writes_the_file(tmp_path):
    source, target = tmp_path / "in.xml", tmp_path / "out.haar"
    source.write_bytes(make_xml())
    done = run(source, "--output", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{target}: window 20 x 10, 1 stages, 1 weak classifiers, ")
    assert target.read_bytes() == read_cascade(make_xml(), "in").pack()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    run(source, "--output", target, "--name", "other")
    assert target.read_bytes() == read_cascade(make_xml(), "other").pack()


def test_a_failing_command_leaves_the_old_file(tmp_path):
    source, target = tmp_path / "in.xml", tmp_path / "out.haar"
    source.write_bytes(make_xml(width="1000"))
    target.write_bytes(b"old")
    done = run(source, "--output", target)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"mien_tools.cascade: {source}: width: expected 3 to 255, found 1000\n"
    assert target.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [source, target]


def test_paths_that_do_not_work_are_named(tmp_path):
    source = tmp_path / "in.xml"
    done = run(source, "--output", tmp_path / "out.haar")
    assert done.returncode == 1
    assert done.stderr == (
        f"mien_tools.cascade: {source}: cannot read: No such file or directory\n"
    )
    source.write_bytes(make_xml())
    target = tmp_path / "missing" / "out.haar"
    done = run(source, "--output", target)
    assert done.returncode == 1
    assert done.stderr == (
        f"mien_tools.cascade: {target}: cannot write: No such file or directory\n"
    )
    assert run(source).returncode == 2


def test_a_notice_too_long_for_the_file_is_refused(tmp_path, capsys):
    source = tmp_path / "in.xml"
    source.write_bytes(make_xml(comment="x" * 70000))
    assert cascade.main([str(source), "--output", str(tmp_path / "out.haar")]) == 1
    assert "string of 70000 bytes: at most 65535 fit" in capsys.readouterr().err
