"""The optimizers that papers on FER2013 compare, all from torch.optim."""

import torch
from torch import nn

OPTIMIZERS = ("sgd", "sgd-nesterov", "averaged-sgd", "adam", "amsgrad", "adadelta", "adagrad")


def build_optimizer(
    name: str, model: nn.Module, learning_rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Weight decay spares biases and batch norm (He et al. 2019, "Bag of Tricks", section 3.1)."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, learning_rate, momentum=momentum)
    if name == "sgd-nesterov":
        return torch.optim.SGD(groups, learning_rate, momentum=momentum, nesterov=momentum > 0)
    if name == "averaged-sgd":
        return torch.optim.ASGD(groups, learning_rate)
    if name == "adam":
        return torch.optim.Adam(groups, learning_rate)
    if name == "amsgrad":
        return torch.optim.Adam(groups, learning_rate, amsgrad=True)
    if name == "adadelta":
        return torch.optim.Adadelta(groups, learning_rate)
    if name == "adagrad":
        return torch.optim.Adagrad(groups, learning_rate)
    raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, found {name!r}")
