"""A small network with batch normalisation in training mode, by PyTorch in float64: loss, gradient, Hessian and
Gauss-Newton matrix of one batch and of several each with its own statistics, and steps of gradient descent with their
running statistics. Writes test/modes/*.onnx and train.npz. Needs torch, onnx and numpy."""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch.func import functional_call
from torch.nn import functional as F

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
torch.manual_seed(11)
n = 10
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2, momentum=0.125), torch.nn.Tanh(), torch.nn.Flatten(),
    torch.nn.Linear(8, 3), torch.nn.BatchNorm1d(3, momentum=0.25), torch.nn.Tanh(), torch.nn.Linear(3, 3),
)
for m in net:
    if isinstance(m, torch.nn.modules.batchnorm._BatchNorm):
        torch.nn.init.normal_(m.weight, 1, 0.2)
        torch.nn.init.normal_(m.bias, 0, 0.2)
        m.running_mean.normal_(0, 0.3)
        m.running_var.uniform_(0.5, 1.5)
x, target = torch.randn(n, 1, 4, 4), torch.randint(0, 3, (n,))
out = {"x": x, "target": target.to(torch.int32)}

files = dict(input_names=["x"], output_names=["y"], verbose=False)
classic = dict(files, dynamo=False, dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
export = lambda name, m, **options: torch.onnx.export(m, (x,), HERE / f"{name}.onnx", **options)
# what the exporters make of it: kept in evaluation mode, in training mode, merged into the convolution, all gone
export("kept", copy.deepcopy(net).eval(), **files, dynamo=True, optimize=False, external_data=False, dynamic_shapes=({0: torch.export.Dim("n")},))
export("training", copy.deepcopy(net).train(), **classic, training=torch.onnx.TrainingMode.TRAINING)
# to export in training mode runs a step of it: the statistics as they were
model = onnx.load(HERE / "training.onnx")
for t in model.graph.initializer:
    t.CopyFrom(onnx.numpy_helper.from_array(net.state_dict()[t.name].numpy(), t.name))
onnx.save(model, HERE / "training.onnx")
export("merged", copy.deepcopy(net).eval(), **classic)
export("gone", copy.deepcopy(net).eval(), **files, dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("n")},))
dropping = torch.nn.Sequential(torch.nn.Linear(16, 4), torch.nn.Dropout(0.25), torch.nn.Tanh(), torch.nn.Linear(4, 3))
export("dropout", torch.nn.Sequential(torch.nn.Flatten(), dropping).train(), **classic, training=torch.onnx.TrainingMode.TRAINING)

net, x = net.double().train(), x.double()
names = [k for k, _ in net.named_parameters()]
sizes = [p.numel() for _, p in net.named_parameters()]
shapes = [p.shape for _, p in net.named_parameters()]
# not momentum: buffers are left alone here
for m in net:
    if hasattr(m, "track_running_stats"):
        m.saved = (m.running_mean, m.running_var)


def apply(theta, x):
    parts = {k: t.reshape(s) for k, t, s in zip(names, theta.split(sizes), shapes)}
    for m in net:
        if hasattr(m, "saved"):
            m.running_mean, m.running_var, m.track_running_stats = None, None, False
    try:
        return functional_call(net, parts, (x,))
    finally:
        for m in net:
            if hasattr(m, "saved"):
                m.track_running_stats = True
                m.running_mean, m.running_var = m.saved


theta = torch.cat([p.detach().flatten() for p in net.parameters()])


def matrices(key, batches):
    loss = lambda t: sum(F.cross_entropy(apply(t, x[b]), target[b], reduction="sum") for b in batches) / n
    z = lambda t: torch.cat([apply(t, x[b]) for b in batches])
    # row by row in reverse mode: what torch.func batches or differentiates forward through batch_norm is not symmetric
    t = theta.clone().requires_grad_()
    rows = lambda y: torch.stack([torch.autograd.grad(v, t, retain_graph=True)[0] for v in y.flatten()])
    p = torch.softmax(z(theta), -1)
    S = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / n
    J = rows(z(t)).reshape(n, 3, -1)
    (g,) = torch.autograd.grad(loss(t), t, create_graph=True)
    H = rows(g)
    assert (H - H.T).abs().max() < 1e-12
    out[f"{key}/loss"], out[f"{key}/gradient"], out[f"{key}/hessian"] = loss(theta), g, H
    out[f"{key}/gauss-newton"] = torch.einsum("nci,ncd,ndj->ij", J, S, J)


matrices("one", [slice(0, n)])
matrices("fours", [slice(0, 4), slice(4, 8), slice(8, 10)])

# three steps; the running variance by ONNX's rule (the population's) beside PyTorch's (the sample's)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
rule = {}
seen = {}
for k, m in net.named_modules():
    if hasattr(m, "saved"):
        rule[k] = m.running_var.clone()
        m.register_forward_pre_hook(lambda m, args, k=k: seen.__setitem__(k, args[0].transpose(0, 1).flatten(1).var(1, unbiased=False).detach()))
for step, b in enumerate([[5, 0, 9, 3], [1, 8, 2, 4], [7, 6]]):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x[b]), target[b])
    loss.backward()
    optimizer.step()
    out[f"step{step}/loss"] = loss
    for k, m in net.named_modules():
        if not hasattr(m, "saved"):
            continue
        rule[k] = (1 - m.momentum) * rule[k] + m.momentum * seen[k]
        out[f"step{step}/{k}.running_mean"] = m.running_mean.clone()
        out[f"step{step}/{k}.running_var"] = rule[k]
        out[f"step{step}/torch/{k}.running_var"] = m.running_var.clone()
for k, p in net.named_parameters():
    out[f"trained/{k}"] = p
np.savez(HERE / "data.npz", x=out["x"].numpy(), target=out["target"].numpy())
np.savez(HERE / "train.npz", **{k: v.detach().numpy() for k, v in out.items()})
