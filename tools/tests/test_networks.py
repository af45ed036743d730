"""Networks against their published layers; MiniFER's published checkpoint where it exists."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mien_tools.data import load_faces
from mien_tools.evaluation import centre_view, evaluate
from mien_tools.networks import NETWORKS, network_info
from mien_tools.networks.inception_fer import Inception
from mien_tools.networks.mini_fer import MiniFer
from mien_tools.networks.resnet33 import ResidualBlock

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHECKPOINT = SHARED / "reference" / "epoch_158.pt"
FACES = SHARED / "fer2013"

WEIGHTED = (nn.Conv2d, nn.Linear)

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


def test_each_layer_has_its_published_output():
    model, found = MiniFer().eval(), {}
    for name in OUTPUTS:
        getattr(model, name).register_forward_hook(
            lambda _, __, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
    model(torch.zeros(1, 1, 40, 40))
    assert found == OUTPUTS


# Published, or of the widths that lead to the published millions.
NETWORK_PARAMETERS = {
    "mini_fer": 784_263,
    "alexnet": 56_873_671,
    "fer_net": 1_687_943,
    "fer_net_256": 17_807_239,
    "vgg_net": 29_890_759,
    "vgg10": 1_765_479,
    "inception_fer": 1_189_167,
    "resnet33": 5_325_159,
}

# The maps in the publications' figures and tables, by the kind of layer that puts them out.
MAPS = {
    # Krizhevsky et al. 2012, figure 2: the two halves together, and pooling 3x3 at stride 2.
    ("alexnet", nn.Conv2d): [
        (96, 55, 55),
        (256, 27, 27),
        (384, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
    ],
    ("alexnet", nn.MaxPool2d): [(96, 27, 27), (256, 13, 13), (256, 6, 6)],
    ("alexnet", nn.Linear): [(4096,), (4096,), (7,)],
    # Mohan et al. 2021, figure of the network.
    ("fer_net_256", nn.Conv2d): [
        (64, 256, 256),
        (128, 128, 128),
        (256, 64, 64),
        (256, 32, 32),
    ],
    ("fer_net", nn.MaxPool2d): [(64, 24, 24), (128, 12, 12), (256, 6, 6), (256, 3, 3)],
    # Khaireddin and Chen 2021: four stages, each ending in a pooling.
    ("vgg_net", nn.MaxPool2d): [(64, 20, 20), (128, 10, 10), (256, 5, 5), (512, 2, 2)],
    ("vgg_net", nn.Linear): [(4096,), (4096,), (7,)],
    ("vgg10", nn.MaxPool2d): [(32, 24, 24), (64, 12, 12), (128, 6, 6), (256, 3, 3)],
    ("vgg10", nn.Linear): [(256,), (7,)],
    ("inception_fer", nn.AvgPool2d): [(504, 1, 1)],
    # He et al. 2015, table 1: 3, 4, 6 and 3 blocks, here of half the width on 48 pixels.
    ("resnet33", ResidualBlock): [(32, 48, 48)] * 3
    + [(64, 24, 24)] * 4
    + [(128, 12, 12)] * 6
    + [(256, 6, 6)] * 3,
}

# Layers with weights on the longest path.
DEPTHS = {"vgg10": 10, "vgg_net": 11, "alexnet": 8, "fer_net": 7}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_their_number_of_parameters(name):
    network = network_info(name).build()
    assert sum(p.numel() for p in network.parameters()) == NETWORK_PARAMETERS[name]


@pytest.mark.parametrize(("name", "kind"), MAPS)
def test_layers_put_out_the_published_maps(name, kind):
    info, found = network_info(name), []
    model = info.build().eval()
    for module in model.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
    with torch.no_grad():
        model(torch.zeros(1, 1, info.input_size, info.input_size))
    assert found == MAPS[name, kind]


@pytest.mark.parametrize("name", DEPTHS)
def test_chains_have_their_depth(name):
    layers = [m for m in network_info(name).build().modules() if isinstance(m, WEIGHTED)]
    assert len(layers) == DEPTHS[name]


def test_inception_modules_join_their_four_branches_in_order():
    module = Inception(16, 32).eval()
    images = torch.rand(1, 16, 9, 9)
    joined = module(images)
    assert joined.shape == (1, 72, 9, 9)
    parts = joined.split((24, 32, 8, 8), dim=1)
    pooled = F.max_pool2d(images, 3, stride=1, padding=1)
    torch.testing.assert_close(parts[0], module.one(images))
    torch.testing.assert_close(parts[3], module.pool[1:](pooled))


def test_residual_blocks_start_as_identities():
    network = network_info("resnet33").build().eval()
    images = torch.rand(2, 32, 8, 8)
    blocks = [block for block in network.features if isinstance(block, ResidualBlock)]
    torch.testing.assert_close(blocks[0](images), images)


@pytest.mark.parametrize("name", ["fer_net", "vgg_net", "vgg10", "inception_fer", "resnet33"])
def test_fresh_networks_are_undecided_and_drop_values_in_training_alone(name):
    torch.manual_seed(0)
    info = network_info(name)
    model = info.build()
    faces = torch.rand(8, 1, info.input_size, info.input_size)
    with torch.no_grad():
        first, second = model(faces), model(faces)
        loss = F.cross_entropy(first, torch.arange(8) % 7)
        assert loss.item() == pytest.approx(math.log(7), abs=0.15)
        has_dropout = any(isinstance(module, nn.Dropout) for module in model.modules())
        assert torch.equal(first, second) != has_dropout
        model.eval()
        assert torch.equal(model(faces), model(faces))


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
