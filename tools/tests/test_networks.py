"""MiniFER against its published table of layers, and its published checkpoint where it exists."""

from pathlib import Path

import pytest
import torch

from mien_tools.data import load_faces
from mien_tools.evaluation import centre_view, evaluate
from mien_tools.networks import NETWORKS, network_info
from mien_tools.networks.mini_fer import MiniFer

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHECKPOINT = SHARED / "reference" / "epoch_158.pt"
FACES = SHARED / "fer2013"

PARAMETERS = {
    "layer1": 640 + 128,
    "layer2": 204_928 + 256,
    "layer3": 68_864,
    "layer4": 68_864,
    "layer5": 137_728,
    "layer6": 137_728,
    "lin1": 131_328,
    "lin2": 32_896,
    "lin3": 903,
}
OUTPUTS = {
    "layer1": (64, 40, 40),
    "layer2": (128, 18, 18),
    "layer3": (128, 9, 9),
    "layer4": (128, 9, 9),
    "layer5": (128, 4, 4),
    "layer6": (128, 4, 4),
    "lin1": (256,),
    "lin2": (128,),
    "lin3": (7,),
}


@pytest.mark.parametrize("layer", PARAMETERS)
def test_each_layer_has_its_published_parameters(layer):
    module = getattr(MiniFer(), layer)
    assert sum(p.numel() for p in module.parameters()) == PARAMETERS[layer]


def test_parameters_sum_to_the_published_number():
    assert sum(p.numel() for p in MiniFer().parameters()) == 784_263


def test_each_layer_has_its_published_output():
    model, found = MiniFer().eval(), {}
    for name in OUTPUTS:
        getattr(model, name).register_forward_hook(
            lambda _, __, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
    model(torch.zeros(1, 1, 40, 40))
    assert found == OUTPUTS


@pytest.mark.parametrize("name", NETWORKS)
def test_registered_networks_take_their_input_and_give_one_logit_a_label(name):
    info = network_info(name)
    size = (2, 1, info.input_size, info.input_size)
    assert info.build().eval()(torch.zeros(size)).shape == (2, len(info.labels))
    assert info.face_size >= info.input_size


def test_an_unknown_network_is_an_error_that_names_the_known():
    with pytest.raises(ValueError, match="expected one of mini_fer.*found 'mega_fer'"):
        network_info("mega_fer")


@pytest.mark.skipif(not CHECKPOINT.exists(), reason="needs the published checkpoint")
def test_the_published_checkpoint_fits_key_by_key():
    params = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)["params"]
    model = MiniFer()
    assert list(model.state_dict()) == list(params)
    model.load_state_dict(params)


@pytest.mark.skipif(
    not (CHECKPOINT.exists() and FACES.exists()),
    reason="needs the published checkpoint and FER2013",
)
def test_the_published_checkpoint_reaches_its_accuracy():
    model = MiniFer()
    params = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)["params"]
    model.load_state_dict(params)
    network = network_info("mini_fer")
    metrics = evaluate(model, load_faces(FACES)["PublicTest"], network, centre_view(network))
    assert metrics.confusion.sum() == 3589
    assert metrics.accuracy == pytest.approx(0.6668, abs=5e-5)
