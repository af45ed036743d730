"""Each change against an independent way of making it: slicing, torch.rot90, Pillow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mien_tools.augmentation import (
    Augmentation,
    Changes,
    apply_changes,
    changeable_faces,
    draw_changes,
)
from mien_tools.evaluation import View, centre_view, ten_views, to_faces
from mien_tools.networks import NetworkInfo, network_info
from mien_tools.preprocess import ten_crops

MINI_FER = network_info("mini_fer")
WHOLE_FACE = NetworkInfo("whole_face", build=torch.nn.Identity, input_size=48, face_size=48)
LARGE = NetworkInfo("large", build=torch.nn.Identity, input_size=96, face_size=96)
NOTHING = Augmentation(
    warp=0, scale=0, shift=0, rotation=0, mirror=0, brightness=0, contrast=0, erasing=0
)
PRECISION = 1e-5  # of values 0 to 1 after an interpolation in float32


def smooth_faces(count: int) -> torch.Tensor:
    """Blurred noise, as photographs are smooth."""
    noise = np.random.default_rng(count).integers(0, 256, (count, 6, 6), dtype=np.uint8)
    images = [Image.fromarray(image).resize((48, 48), Image.Resampling.BICUBIC) for image in noise]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changes(count: int, **values: object) -> Changes:
    """No change but the given ones; the crop is the upper left one."""
    none = draw_changes(count, NOTHING, generator())
    none = replace(none, crop_x=torch.zeros(count), crop_y=torch.zeros(count))
    return replace(none, **{key: torch.full((count,), value) for key, value in values.items()})


@pytest.mark.parametrize("x", [0, 3, 8])
@pytest.mark.parametrize("y", [0, 5, 8])
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_unwarped_face_is_only_cropped_and_mirrored(x, y, mirrored):
    faces = smooth_faces(2)
    found = apply_changes(
        faces,
        changes(2, crop_x=(x + 0.5) / 9, crop_y=(y + 0.5) / 9, mirrored=mirrored),
        MINI_FER,
    )
    # The mirror takes the whole face, so the crop's place is counted from the other side.
    whole = faces.flip(-1) if mirrored else faces
    expected = whole[:, y : y + 40, x : x + 40].unsqueeze(1) / 255
    torch.testing.assert_close(found, expected, atol=PRECISION, rtol=0)


def test_rotation_turns_counterclockwise():
    faces = smooth_faces(2)
    found = apply_changes(faces, changes(2, angle=np.pi / 2), WHOLE_FACE)
    expected = torch.rot90(faces, dims=(1, 2)).unsqueeze(1) / 255
    torch.testing.assert_close(found, expected, atol=PRECISION, rtol=0)


def test_shift_moves_the_face_left_and_up():
    faces = smooth_faces(2)
    found = apply_changes(faces, changes(2, shift_x=6 / 48, shift_y=3 / 48), WHOLE_FACE)
    expected = faces[:, 3:, 6:].unsqueeze(1) / 255
    torch.testing.assert_close(found[..., :45, :42], expected, atol=PRECISION, rtol=0)
    # What was beyond the edge continues the last column.
    torch.testing.assert_close(found[..., :45, 42:], expected[..., -1:].expand(-1, -1, -1, 6))


@pytest.mark.parametrize("enlargement", [0.8, 1.25])
@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_scale_and_rotation_agree_with_pillow(enlargement, degrees):
    faces = smooth_faces(1)
    found = apply_changes(
        faces, changes(1, enlargement=enlargement, angle=np.radians(degrees)), WHOLE_FACE
    )
    cosine, sine = (
        np.cos(np.radians(degrees)) / enlargement,
        np.sin(np.radians(degrees)) / enlargement,
    )
    centre = 24.0
    matrix = (
        *(cosine, -sine, centre - centre * cosine + centre * sine),
        *(sine, cosine, centre - centre * sine - centre * cosine),
    )
    image = Image.fromarray(faces[0].numpy().astype(np.float32))
    expected = image.transform((48, 48), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    inside = slice(12, 36)  # Pillow leaves black what lies outside, we continue the edge
    np.testing.assert_allclose(
        found[0, 0, inside, inside].numpy(),
        np.asarray(expected)[inside, inside] / 255,
        atol=1e-4,
    )


def test_contrast_and_brightness():
    faces = smooth_faces(1) // 2 + 64
    found = apply_changes(faces, changes(1, contrast=0.5, brightness=0.25), WHOLE_FACE)[0, 0]
    plain = faces[0] / 255
    expected = (plain + plain.mean()) / 2 + 0.25
    torch.testing.assert_close(found, expected.clamp(0, 1), atol=PRECISION, rtol=0)


def test_erasing_fills_the_rectangle_with_one_gray():
    faces = smooth_faces(1)
    erased = changes(1, erased=True, left=0.25, top=0.5, width=0.125, height=0.25, gray=0.3)
    found = apply_changes(faces, erased, WHOLE_FACE)[0, 0]
    expected = faces[0] / 255
    expected[24:36, 12:18] = 0.3
    torch.testing.assert_close(found, expected, atol=PRECISION, rtol=0)


def test_a_larger_network_sees_the_same_picture():
    faces = smooth_faces(8)
    drawn = replace(
        draw_changes(8, Augmentation(warp=1, erasing=0), generator()),
        crop_x=torch.zeros(8),
        crop_y=torch.zeros(8),
    )
    small = apply_changes(faces, drawn, WHOLE_FACE)
    large = apply_changes(faces, drawn, LARGE)
    halved = torch.nn.functional.avg_pool2d(large, 2)
    assert (small - halved).abs().mean() < 0.01


def test_draws_stay_within_the_strengths_and_reach_them():
    strengths = Augmentation(
        warp=1, scale=0.2, shift=0.1, rotation=15, brightness=0.3, contrast=0.4
    )
    drawn = draw_changes(20_000, strengths, generator())
    bounds = {
        "enlargement": (0.8, 1.2),
        "angle": (-np.radians(15), np.radians(15)),
        "shift_x": (-0.1, 0.1),
        "shift_y": (-0.1, 0.1),
        "brightness": (-0.3, 0.3),
        "contrast": (0.6, 1.4),
        "crop_x": (0, 1),
        "gray": (0, 1),
    }
    for name, (low, high) in bounds.items():
        values = getattr(drawn, name)
        tolerance = (high - low) * 1e-3
        assert low - 1e-6 <= values.min() <= low + tolerance, f"{name}: {values.min()}"
        assert high - tolerance <= values.max() <= high + 1e-6, f"{name}: {values.max()}"
        assert values.mean() == pytest.approx((low + high) / 2, abs=(high - low) * 0.01), name
    assert (drawn.left + drawn.width).max() <= 1
    assert (drawn.width * drawn.height).max() <= strengths.erasing_area


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_probabilities_are_kept(probability):
    strengths = Augmentation(warp=probability, mirror=probability, erasing=probability)
    drawn = draw_changes(20_000, strengths, generator())
    assert drawn.mirrored.float().mean() == pytest.approx(probability, abs=0.015)
    assert drawn.erased.float().mean() == pytest.approx(probability, abs=0.015)
    assert (drawn.angle != 0).float().mean() == pytest.approx(probability, abs=0.015)


def test_all_crops_are_equally_likely():
    positions = (draw_changes(81_000, NOTHING, generator()).crop_x * 9).floor().long()
    np.testing.assert_allclose(torch.bincount(positions) / 81_000, 1 / 9, atol=0.005)


def test_the_same_generator_draws_the_same_changes():
    first, second = (
        apply_changes(smooth_faces(4), draw_changes(4, Augmentation(), generator(seed=3)), MINI_FER)
        for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("option", "value"), [("warp", 1.5), ("mirror", -0.1), ("scale", 1), ("rotation", 181)]
)
def test_strengths_out_of_range_are_errors(option, value):
    with pytest.raises(ValueError, match=f"{option}: expected 0 to .*, found {value}"):
        Augmentation(**{option: value})


def test_ten_views_are_corners_and_centre_and_their_mirrors():
    corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    expected = [View(y, x, mirrored) for mirrored in (False, True) for y, x in corners]
    assert ten_views(MINI_FER) == expected
    assert centre_view(MINI_FER) == [View(4, 4)]
    face = torch.arange(48 * 48).view(1, 1, 48, 48)
    crop = View(0, 8, mirrored=True).of(face, 40)
    assert crop.shape == (1, 1, 40, 40)
    assert crop[0, 0, 0, 0] == 47
    assert crop[0, 0, 39, 39] == 39 * 48 + 8


def test_a_network_without_margin_has_two_views():
    assert ten_views(WHOLE_FACE) == [View(0, 0), View(0, 0, mirrored=True)]


def test_faces_are_brought_to_another_size_as_pillow_does():
    face = smooth_faces(1).numpy()
    small = NetworkInfo("small", build=torch.nn.Identity, input_size=32, face_size=32)
    image = Image.fromarray(face[0])
    for network in (small, LARGE):
        size = (network.face_size, network.face_size)
        expected = np.asarray(image.resize(size, Image.Resampling.BILINEAR)) / 255
        np.testing.assert_allclose(to_faces(face, network)[0, 0].numpy(), expected, atol=1e-6)


def test_training_crops_are_those_of_evaluation() -> None:
    """Without other changes; the histogram is equalised before, at the face's size."""
    network = network_info("vgg10")
    face = smooth_faces(1).numpy()
    views = ten_crops((to_faces(face, network) * 255).round().byte()[0, 0].numpy(), 48, 48)
    places = [(0.0, 0.0), (0.99, 0.0), (0.0, 0.99), (0.99, 0.99), (0.5, 0.5)]
    for view, (crop_x, crop_y) in zip(views, places, strict=False):
        change = changes(1, crop_x=crop_x, crop_y=crop_y)
        faces = torch.from_numpy(changeable_faces(face, network))
        found = apply_changes(faces, change, network)[0, 0].numpy()
        np.testing.assert_allclose(found, view / 255, atol=PRECISION)


def test_faces_that_are_only_enlarged_are_left_to_the_crops() -> None:
    """One interpolation instead of two; Pillow's rounds to 8 bits."""
    network = network_info("fer_net")
    face = smooth_faces(1).numpy()
    assert changeable_faces(face, network) is face
    found = apply_changes(torch.from_numpy(face), changes(1), network)
    expected = to_faces(face, network)[..., :48, :48]
    np.testing.assert_allclose(found, expected, atol=1.01 / 255)
