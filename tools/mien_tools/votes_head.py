"""A second head that learns how FER+'s annotators voted, beside the expression.

It is extra rows of the network's last dense layer, so that it needs nothing from the network, and
leaving those rows out gives the plain network back.
"""

from torch import Tensor, nn


def add_votes_head(model: nn.Module, votes: int) -> None:
    """Make the last dense layer give `votes` more outputs, after the network's own."""
    name, layer = _last_dense(model)
    parent = model.get_submodule(name.rpartition(".")[0])
    wider = nn.Linear(layer.in_features, layer.out_features + votes, bias=layer.bias is not None)
    setattr(parent, name.rpartition(".")[2], wider.to(layer.weight.device))


def without_votes_head(model: nn.Module, classes: int) -> dict[str, Tensor]:
    """The state_dict of the network with its first `classes` outputs alone."""
    name, layer = _last_dense(model)
    params = model.state_dict()
    params[f"{name}.weight"] = layer.weight.detach()[:classes].clone()
    if layer.bias is not None:
        params[f"{name}.bias"] = layer.bias.detach()[:classes].clone()
    return params


def _last_dense(model: nn.Module) -> tuple[str, nn.Linear]:
    layers = [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear)
    ]
    if not layers:
        raise ValueError("votes_weight: expected a network that ends in a dense layer, found none")
    return layers[-1]
