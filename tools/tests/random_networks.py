"""Random networks of everything that the exporter knows, for tests."""

import operator
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_SHAPE = (2, 13, 11)
OUTPUTS = 5


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Sum(nn.Module):
    """body(x) and shortcut(x), added in one of the ways in which people write it."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None, way: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == 0:
            return self.shortcut(x) + self.body(x)
        if self.way == 1:
            return torch.add(self.body(x), self.shortcut(x))
        y = self.body(x)
        y += self.shortcut(x)
        return y


class Joined(nn.Module):
    """Branches' outputs side by side, joined in one of the ways in which people write it."""

    def __init__(self, branches: list[nn.Module], way: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        outputs = [branch(x) for branch in self.branches]
        if self.way == 0:
            return torch.cat(outputs, 1)
        if self.way == 1:
            return torch.concat(tuple(outputs), dim=-3)
        return torch.concatenate(tensors=outputs, axis=1)


class Crossing(nn.Module):
    """Values that return where no branch could bring them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f, self.g = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        a = self.f(x)
        b = self.g(x) + a
        return torch.cat((b.relu(), a + b, x), 1)


class RandomNetwork(nn.Module):
    """Images [batch, 2, 13, 11] to [batch, 5]; the seed decides the layers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        channels = INPUT_SHAPE[0]
        for _ in range(self.random.randint(2, 4)):
            block, channels = self.block(channels, depth=0)
            layers += [block, self.activation()]
        layers.append(self.shrink(channels))
        self.features = nn.Sequential(*layers)
        # The number of features shows only when the convolutions run.
        with torch.no_grad():
            features = self.features.eval()(torch.zeros(1, *INPUT_SHAPE)).flatten(1).shape[1]
        self.hidden = nn.Linear(features, 6, bias=self.random.random() < 0.5)
        self.norm = nn.BatchNorm1d(6) if self.random.random() < 0.5 else nn.Identity()
        self.outputs = nn.Linear(6, OUTPUTS)
        self.ends_in_softmax = self.random.random() < 0.3
        self.flatten_way = self.random.randrange(3)
        self.train_statistics()
        del self.random

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = (x.flatten(1), torch.flatten(x, 1), x.view(x.size(0), -1))[self.flatten_way]
        x = self.norm(F.relu(self.hidden(x)))
        x = self.outputs(F.dropout(x, 0.3, self.training))
        return F.softmax(x, dim=1) if self.ends_in_softmax else x

    def train_statistics(self) -> None:
        """Give batch normalisations running statistics and factors that are not 0 and 1."""
        for module in self.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.3, 2.0)
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias, std=0.3)
        self.eval()

    def block(self, channels: int, depth: int) -> tuple[nn.Module, int]:
        """A convolution or, not too deep, a sum of branches, with its number of channels."""
        if depth < 2 and self.random.random() < 0.5:
            return self.branches(channels, depth)
        out_channels = self.random.choice((4, 6, 8, 17))
        return self.convolution(channels, out_channels), out_channels

    def branches(self, channels: int, depth: int) -> tuple[nn.Module, int]:
        if self.random.random() < 0.25:
            return Sum(self.inverted_residual(channels), None, way=0), channels
        if self.random.random() < 0.2:
            return Crossing(channels), 3 * channels
        if self.random.random() < 0.35:
            return self.joined(channels, depth)
        inner, inner_channels = self.block(channels, depth + 1)
        with_shortcut = self.random.random() < 0.5
        out_channels = self.random.choice((4, 8)) if with_shortcut else channels
        body = nn.Sequential(inner, self.activation(), self.same_size(inner_channels, out_channels))
        shortcut = self.same_size(channels, out_channels) if with_shortcut else None
        return Sum(body, shortcut, way=self.random.randrange(3)), out_channels

    def joined(self, channels: int, depth: int) -> tuple[nn.Module, int]:
        blocks = [self.block(channels, depth + 1) for _ in range(self.random.randint(1, 3))]
        branches = [nn.Sequential(block, self.activation()) for block, _ in blocks]
        branches.append(nn.MaxPool2d(3, stride=1, padding=1))
        self.random.shuffle(branches)
        out_channels = channels + sum(count for _, count in blocks)
        return Joined(branches, way=self.random.randrange(3)), out_channels

    def inverted_residual(self, channels: int) -> nn.Module:
        hidden = 3 * channels
        return nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.Hardtanh(0, 6),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )

    def convolution(self, channels: int, out_channels: int) -> nn.Module:
        """Any convolution that keeps height and width, perhaps normalised."""
        kernel = (self.random.choice((1, 3)), self.random.choice((3, 5)))
        padding = self.random.choice(("same", (kernel[0] // 2, kernel[1] // 2)))
        options = {"padding": padding, "bias": self.random.random() < 0.5}
        if self.random.random() < 0.25:
            depthwise = nn.Conv2d(channels, channels, kernel, groups=channels, **options)
            return nn.Sequential(depthwise, self.same_size(channels, out_channels))
        groups = 2 if channels % 2 == 0 and out_channels % 2 == 0 else 1
        layers = [nn.Conv2d(channels, out_channels, kernel, groups=groups, **options)]
        if self.random.random() < 0.6:
            epsilon = self.random.choice((1e-5, 1e-3))
            affine = self.random.random() < 0.7
            layers.append(nn.BatchNorm2d(out_channels, eps=epsilon, affine=affine))
        return nn.Sequential(*layers)

    def same_size(self, channels: int, out_channels: int) -> nn.Module:
        return nn.Conv2d(channels, out_channels, 1, bias=self.random.random() < 0.5)

    def activation(self) -> nn.Module:
        return self.random.choice(
            (
                nn.ReLU(inplace=True),
                nn.ReLU6(),
                nn.Hardtanh(0.0, 6.0, inplace=True),
                nn.Dropout2d(0.2),
                nn.Identity(),
                Call(F.relu),
                Call(F.relu6),
                Call(torch.relu),
                Call(operator.methodcaller("relu")),
                nn.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0),
                Call(lambda x: F.local_response_norm(x, 3, beta=0.6)),
                nn.AvgPool2d(3, stride=1, padding=1),
            )
        )

    def shrink(self, channels: int) -> nn.Module:
        return self.random.choice(
            (
                nn.MaxPool2d(2),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.MaxPool2d((2, 3), stride=(1, 2)),
                nn.Conv2d(channels, 5, 3, stride=(2, 1)),
                Call(lambda x: F.max_pool2d(x, 2, stride=1)),
                nn.AvgPool2d(2),
                nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
                nn.AdaptiveAvgPool2d(1),
                Call(lambda x: F.avg_pool2d(x, x.shape[2:])),
            )
        )
