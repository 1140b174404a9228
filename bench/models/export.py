"""Full-size networks with random weights: python bench/models/export.py FOLDER [NAME …]   (see networks.py)

Writes FOLDER/NAME-EXPORTER/model.onnx with, in reference.npz, `x`, the output `y` by onnxruntime (float32) and, by PyTorch in
float64 for the loss mean((output − target)²): `target`, and per parameter `vector/P`, `gradient/P` and `hessian/P`.
"""

import copy
import gc
import logging
import pathlib
import sys
import time
import warnings
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F

import networks

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)


def export(module, x, path, modern):
    if modern:
        shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(module, (x,), path, dynamo=True, optimize=False, verbose=False, dynamic_shapes=shapes, input_names=["x"])
    else:
        torch.onnx.export(module, (x,), path, dynamo=False, do_constant_folding=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}})


def products(module, x, target, dtype):
    """Loss, gradient and Hessian product, of the function whose second derivative PyTorch has."""
    with mock.patch.object(F, "hardswish", networks.hardswish), mock.patch.object(F, "hardsigmoid", networks.hardsigmoid):
        exact = copy.deepcopy(module).to(dtype)
        parameters = {k: p for k, p in exact.named_parameters() if p.requires_grad}
        y = exact(x.to(dtype) if x.is_floating_point() else x)
        loss = (y - target.to(dtype)).square().mean()
        gradient = torch.autograd.grad(loss, list(parameters.values()), create_graph=True, allow_unused=True, materialize_grads=True)
        vector = [torch.randn(p.shape, generator=torch.Generator().manual_seed(i)).to(dtype) for i, p in enumerate(parameters.values())]
        hessian = torch.autograd.grad(sum((g * v).sum() for g, v in zip(gradient, vector)), list(parameters.values()), allow_unused=True, materialize_grads=True)
    named = lambda what, values: {f"{what}/{k}": v.detach().numpy() for k, v in zip(parameters, values)}
    return {"loss": loss.detach().numpy(), **named("vector", [v.float() for v in vector]), **named("gradient", gradient), **named("hessian", hessian)}


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or networks.FULL:
        make, data = networks.FULL[name]
        torch.manual_seed(0)
        module, x = make().eval(), data()
        with torch.no_grad():
            y = module(x)
        target = torch.randn(y.shape)
        arrays = {"x": x.numpy(), "target": target.numpy()}
        paths = []
        for exporter in ("dynamo", "classic"):
            path = folder / f"{name.replace('/', '-')}-{exporter}" / "model.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                export(module, torch.cat([x, x]), str(path), exporter == "dynamo")  # torch.export takes a batch of one for a constant
                session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
                arrays["y"] = session.run(None, {"x": x.numpy()})[0]
                del session
                paths.append(path)
                np.savez(path.parent / "forward.npz", x=arrays["x"], target=arrays["target"], y=arrays["y"])
            except Exception as error:
                print(f"{name} {exporter}: {str(error)[:300]}", flush=True)
            gc.collect()
        start = time.time()
        exact = products(module, x, target, torch.float64)
        print(f"{name}: {sum(p.numel() for p in module.parameters())} parameters, products {time.time() - start:.1f} s", flush=True)
        for i, path in enumerate(paths):
            if i == 0:
                np.savez(path.parent / "products.npz", **exact)
            else:
                (path.parent / "products.npz").unlink(missing_ok=True)
                (path.parent / "products.npz").symlink_to(paths[0].parent / "products.npz")
        del exact, module
        gc.collect()


if __name__ == "__main__":
    main()
