"""How a network is judged: by the centre crop or by ten crops of every face."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mien_tools.data import Faces
from mien_tools.metrics import Metrics, confusion_matrix
from mien_tools.networks import NetworkInfo
from mien_tools.preprocess import prepare_faces

FACES_PER_BATCH = 32  # few enough that a CPU keeps a layer's values in its caches


@dataclass(frozen=True)
class View:
    """One crop of a face: its upper left pixel, and whether it is mirrored."""

    y: int
    x: int
    mirrored: bool = False

    def of(self, faces: Tensor, size: int) -> Tensor:
        crop = faces[..., self.y : self.y + size, self.x : self.x + size]
        return crop.flip(-1) if self.mirrored else crop


def centre_view(network: NetworkInfo) -> list[View]:
    return [View(network.margin // 2, network.margin // 2)]


def ten_views(network: NetworkInfo) -> list[View]:
    """Four corners, the centre and their mirrors (Krizhevsky et al. 2012, section 4.1).

    Without a margin all five coincide: then the face and its mirror remain.
    """
    start, middle, end = 0, network.margin // 2, network.margin
    positions = [(start, start), (start, end), (end, start), (end, end), (middle, middle)]
    positions = list(dict.fromkeys(positions))
    return [View(y, x, mirrored) for mirrored in (False, True) for y, x in positions]


def to_faces(pixels: np.ndarray, network: NetworkInfo) -> Tensor:
    """Pixels [n, height, width] uint8 to [n, 1, face_size, face_size] in [0, 1], as in C++."""
    faces = prepare_faces(pixels, network.face_size, network.equalize_histogram)
    return torch.from_numpy(faces).unsqueeze(1).float() / 255


def normalise(inputs: Tensor, network: NetworkInfo) -> Tensor:
    return (inputs - network.mean) / network.standard_deviation


@torch.inference_mode()
def mean_logits(
    model: nn.Module, faces: Faces, network: NetworkInfo, views: list[View]
) -> np.ndarray:
    """The logits of each face [n, classes], averaged over the views.

    Runs where the model's weights are, and leaves the model in evaluation mode.
    """
    model.eval()
    device = next(model.parameters()).device
    classes = len(network.labels)
    found = []
    for start in range(0, len(faces), FACES_PER_BATCH):
        pixels = faces.pixels[start : start + FACES_PER_BATCH]
        inputs = normalise(to_faces(pixels, network).to(device), network)
        logits = [model(view.of(inputs, network.input_size))[:, :classes] for view in views]
        found.append(torch.stack(logits).mean(dim=0))
    return torch.cat(found).cpu().numpy()


def judge(logits: np.ndarray, labels: np.ndarray) -> Metrics:
    """What the class of the largest logit gets right; logits [n, classes], labels [n]."""
    return Metrics(confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1]))


def evaluate(model: nn.Module, faces: Faces, network: NetworkInfo, views: list[View]) -> Metrics:
    return judge(mean_logits(model, faces, network, views), faces.labels)
