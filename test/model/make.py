"""Losses of a linear model by PyTorch in float64: value, gradient, Hessian and empirical Fisher with respect to its
weight. Writes test/model/losses.npz. Needs torch and numpy."""

import numpy as np
import torch
from torch.func import grad, hessian
from torch.nn import functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
out = {}
n, inside = 5, 2


def case(name, shape, target, loss, scale=1.0):
    """output [n, *shape] = weight·x; `loss(output, target)` is PyTorch's mean"""
    x = torch.randn(n, inside)
    weight = scale * torch.randn(int(np.prod(shape)), inside)
    f = lambda w, x, t: loss((x @ w.T).reshape(len(x), *shape), t)
    samples = [grad(f)(weight, x[i : i + 1], target[i : i + 1]).flatten() for i in range(n)]
    samples = torch.stack([torch.nan_to_num(s) for s in samples])  # a sample without terms has the loss 0/0
    d = weight.numel()
    # create_graph twice instead of forward over reverse, which some of PyTorch's losses lack
    w = weight.clone().requires_grad_()
    (g,) = torch.autograd.grad(f(w, x, target), w, create_graph=True)
    rows = [torch.autograd.grad(v, w, retain_graph=True)[0].flatten() if v.requires_grad else torch.zeros(d) for v in g.flatten()]
    values = dict(x=x, weight=weight, target=target.to(torch.int32) if not target.is_floating_point() else target,
                  loss=f(weight, x, target), gradient=g, hessian=torch.stack(rows), fisher=samples.T @ samples / n)
    for key, value in values.items():
        out[f"{name}/{key}"] = value.detach().numpy()


classes = torch.tensor([0, 2, 1, 2, 0])
ignored = torch.tensor([0, 2, -100, 2, 1])
w = torch.tensor([0.5, 2.0, 1.25])
soft = torch.softmax(torch.randn(n, 3), -1)
case("smoothed", [3], classes, lambda y, t: F.cross_entropy(y, t, label_smoothing=0.2))
case("weighted", [3], classes, lambda y, t: F.cross_entropy(y, t, weight=w))
case("both", [3], ignored, lambda y, t: F.cross_entropy(y, t, weight=w, label_smoothing=0.1))
case("ignored", [3], classes, lambda y, t: F.cross_entropy(y, t, ignore_index=0))
case("soft", [3], soft, lambda y, t: F.cross_entropy(y, t))
case("softBoth", [3], soft, lambda y, t: F.cross_entropy(y, t, weight=w, label_smoothing=0.1))
positions = torch.randint(0, 3, (n, 2))
positions[1, 0] = -100
case("positions", [3, 2], positions, lambda y, t: F.cross_entropy(y, t, weight=w, label_smoothing=0.3))
binary = torch.rand(n, 3)
case("binary", [3], binary, lambda y, t: F.binary_cross_entropy_with_logits(y, t))
case("binaryWeighted", [3], binary, lambda y, t: F.binary_cross_entropy_with_logits(y, t, weight=torch.tensor([1.0, 0.5, 3.0]), pos_weight=torch.tensor([2.0, 0.25, 1.0])))
real = torch.randn(n, 3)
case("mse", [3], real, lambda y, t: ((y - t) ** 2).mean())
case("l1", [3], real, lambda y, t: F.l1_loss(y, t))
case("huber", [3], real, lambda y, t: F.huber_loss(y, t, delta=0.7))
case("smoothL1", [3], real, lambda y, t: F.smooth_l1_loss(y, t, beta=1.5))
case("gaussian", [3], real, lambda y, t: F.gaussian_nll_loss(y, t, torch.full_like(y, 0.3)))
case("gaussianOwn", [6], real, lambda y, t: F.gaussian_nll_loss(y[:, :3], t, y[:, 3:].exp(), eps=0), scale=0.5)
counts = torch.tensor([[0.0, 1, 4], [2, 0, 1], [3, 3, 0], [1, 1, 1], [7, 0, 2]])
case("poisson", [3], counts, lambda y, t: F.poisson_nll_loss(y, t, full=True), scale=0.5)
np.savez_compressed("test/model/losses.npz", **out)
