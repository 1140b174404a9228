"""Writes the golden files of this folder: python test/golden/make.py [NAME ...]

tiny-*.npz       x or tokens, target, loss, gradient, offset/NAME (where a parameter starts in the flat
                 order, which is the ONNX file's), and for hessian, gauss-newton and empirical-fisher
                 the dense `matrix/OPERATOR` and its ascending `eigenvalues/OPERATOR`
mlp, cnn, gpt    on the first N samples of the example's data: `samples`, loss, gradient/NAME, a vector
                 vector/NAME, and OPERATOR/NAME = the operator times that vector. A tensor of
                 more than 2048 entries is kept at every 13th entry of its flattened self (rank 1);
                 `norm/WHAT/NAME` is the norm of the whole tensor, `dot/OPERATOR` = v·(A v).

Float64 throughout, on the float32 weights stored in the ONNX file.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
EXAMPLES = HERE.parent.parent / "examples"
sys.path[:0] = [str(FIXTURES), str(EXAMPLES / "train")]

from models import CNN, GPT, MLP  # noqa: E402
from oracle import Oracle, agree  # noqa: E402
from tiny import nets  # noqa: E402

KEPT_WHOLE, STRIDE = 2048, 13


def initializers(path):
    return {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}


def load(module, path):
    """Fills the module from the file; returns the trainable names in the file's order."""
    stored = initializers(path)
    parameters = dict(module.named_parameters())
    assert set(parameters) <= set(stored), set(parameters) - set(stored)
    module.load_state_dict({name: stored.get(name, value) for name, value in module.state_dict().items()})
    for part in module.modules():  # epsilon is a float32 attribute in the file
        if hasattr(part, "eps"):
            part.eps = float(np.float32(part.eps))
    return [name for name in stored if name in parameters]


def check_forward(oracle, path):
    """The file run by onnxruntime in float32 must agree with the float64 module."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = oracle.x.numpy()
    found = session.run(None, {session.get_inputs()[0].name: x if x.dtype == np.int64 else x.astype(np.float32)})[0]
    with torch.no_grad():
        return agree(torch.from_numpy(found).double(), oracle.output(oracle.values), 2e-6, path.name)


def save(name, arrays):
    np.savez_compressed(HERE / f"{name}.npz", **arrays)
    print(f"{name}: {(HERE / f'{name}.npz').stat().st_size} bytes", flush=True)


def tiny(name):
    module, x, target, loss = nets()[name]
    path = FIXTURES / f"{name}.onnx"
    oracle = Oracle(module, x, target, loss, load(module, path))
    check_forward(oracle, path)
    generator = torch.Generator().manual_seed(1)
    oracle.hessian_product(torch.randn(len(oracle.values), generator=generator, dtype=torch.float64))

    arrays = {"x" if x.is_floating_point() else "tokens": x.numpy(), "target": target.numpy()}
    arrays["loss"] = oracle.loss(oracle.values).numpy()
    arrays["gradient"] = oracle.gradient().numpy()
    offset = 0
    for parameter, shape in oracle.shapes.items():
        arrays[f"offset/{parameter}"] = np.int64(offset)
        offset += shape.numel()
    for operator, matrix in oracle.matrices().items():
        arrays[f"matrix/{operator}"] = matrix.numpy()
        arrays[f"eigenvalues/{operator}"] = np.linalg.eigvalsh(matrix.numpy())
    save(name, arrays)


def kept(tensor):
    return (tensor if tensor.numel() <= KEPT_WHOLE else tensor.flatten()[::STRIDE]).numpy()


def example(name, module, data, samples):
    path = EXAMPLES / f"{name}.onnx"
    names = load(module, path)
    with np.load(EXAMPLES / data) as stored:
        x, target = (torch.from_numpy(stored[key][:samples]) for key in stored.files)
    oracle = Oracle(module, x, target, "cross-entropy", names)
    print(f"{name}: onnxruntime agrees to {check_forward(oracle, path):.1e}")

    generator = torch.Generator().manual_seed(2)
    v = (torch.randn(len(oracle.values), generator=generator) * 8).round().double() / 8   # eighths compress
    arrays = {"samples": np.int64(samples), "loss": oracle.loss(oracle.values).numpy()}
    arrays |= {f"vector/{n}": part.float().numpy() for n, part in oracle.split(v).items()}
    results = {
        "gradient": oracle.gradient(),
        "hessian": oracle.hessian_product(v),
        "gauss-newton": oracle.gauss_newton_product(v),
        "empirical-fisher": oracle.empirical_fisher_product(v),
    }
    for what, result in results.items():
        arrays[f"dot/{what}"] = (v @ result).numpy()
        for parameter, part in oracle.split(result).items():
            arrays[f"{what}/{parameter}"] = kept(part)
            arrays[f"norm/{what}/{parameter}"] = part.norm().numpy()
    save(name, arrays)


def main():
    torch.set_num_threads(1)
    jobs = {name: lambda name=name: tiny(name) for name in nets()}
    jobs["mlp"] = lambda: example("mlp", MLP(), "fashion-mnist-test.npz", 64)
    jobs["cnn"] = lambda: example("cnn", CNN(), "fashion-mnist-test.npz", 32)
    vocabulary = len(initializers(EXAMPLES / "gpt.onnx")["token.weight"])
    jobs["gpt"] = lambda: example("gpt", GPT(vocabulary), "gpt-test.npz", 4)
    for name in sys.argv[1:] or jobs:
        jobs[name]()


if __name__ == "__main__":
    main()
