"""How a network is judged: by the centre crop or by ten crops of every face."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien_tools.data import Faces
from mien_tools.metrics import Metrics, confusion_matrix
from mien_tools.networks import NetworkInfo

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


def to_faces(pixels: Tensor, network: NetworkInfo) -> Tensor:
    """Pixels [n, height, width] uint8 to [n, 1, face_size, face_size] in [0, 1], bilinearly."""
    faces = pixels.unsqueeze(1).float() / 255
    size = (network.face_size, network.face_size)
    if faces.shape[-2:] == size:
        return faces
    return F.interpolate(faces, size, mode="bilinear", align_corners=False, antialias=True)


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
    for pixels in torch.from_numpy(faces.pixels).split(FACES_PER_BATCH):
        inputs = normalise(to_faces(pixels.to(device), network), network)
        logits = [model(view.of(inputs, network.input_size))[:, :classes] for view in views]
        found.append(torch.stack(logits).mean(dim=0))
    return torch.cat(found).cpu().numpy()


def judge(logits: np.ndarray, labels: np.ndarray) -> Metrics:
    """What the class of the largest logit gets right; logits [n, classes], labels [n]."""
    return Metrics(confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1]))


def evaluate(model: nn.Module, faces: Faces, network: NetworkInfo, views: list[View]) -> Metrics:
    return judge(mean_logits(model, faces, network, views), faces.labels)
