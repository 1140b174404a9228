"""The three fixed workloads, as PyTorch modules with random weights, and their data.

    mlp       tanh MLP 784-512-512-10, batch 256
    resnet20  ResNet-20 on 3x32x32, batch 128, BatchNorm in evaluation mode, 1x1-convolution shortcuts
    gpt       4 pre-normalised blocks of width 128, 4 heads, 64 tokens, vocabulary 256, batch 16

All end in a mean cross-entropy.
"""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "train"))

from models import GPT  # noqa: E402

NAMES = ("mlp", "resnet20", "gpt")


class MLP(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 10))

    def forward(self, x):  # names the input
        return super().forward(x)


class Residual(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.Sequential(*(Residual(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:])))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


def make(name):
    """(module in evaluation mode, input, target, the input's name), always the same numbers."""
    torch.manual_seed(0)
    if name == "mlp":
        return MLP().eval(), torch.randn(256, 784), torch.randint(10, (256,)), "x"
    if name == "resnet20":
        return ResNet20().eval(), torch.randn(128, 3, 32, 32), torch.randint(10, (128,)), "x"
    if name == "gpt":
        return GPT(256, width=128, layers=4).eval(), torch.randint(256, (16, 64)), torch.randint(256, (16, 64)), "tokens"
    raise SystemExit(f"no workload is called {name}")
