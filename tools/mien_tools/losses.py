"""What a training step minimises: labels, teachers and votes, each as probabilities."""

import torch
import torch.nn.functional as F
from torch import Tensor


def mix(values: Tensor, partners: Tensor | None, weight: float) -> Tensor:
    """Mixup (Zhang et al. 2018): `weight` of each row and the rest of its partner, another row.

    Without partners the values stay as they are.
    """
    if partners is None:
        return values
    return weight * values + (1 - weight) * values[partners]


def vote_shares(votes: Tensor) -> Tensor:
    """Votes [n, columns] to probabilities; a row without votes stays zero and teaches nothing."""
    votes = votes.float()
    return votes / votes.sum(dim=1, keepdim=True).clamp(min=1)


def teacher_probabilities(logits: list[Tensor], temperature: float) -> Tensor:
    """The mean of the teachers' softened probabilities [n, classes]."""
    return torch.stack([F.softmax(one / temperature, dim=1) for one in logits]).mean(dim=0)


def distillation_loss(logits: Tensor, teachers: Tensor, temperature: float) -> Tensor:
    """Hinton et al. 2015, section 2: the square keeps the gradients' size at any temperature."""
    student = F.log_softmax(logits / temperature, dim=1)
    return F.kl_div(student, teachers, reduction="batchmean") * temperature**2
