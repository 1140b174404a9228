"""Writes the workloads as NAME.onnx and NAME.npz: python bench/rivals/export_workloads.py FOLDER [NAME ...]"""

import pathlib
import sys

import numpy as np
import torch

import workloads
from export import export


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or workloads.NAMES:
        module, x, target, input_name = workloads.make(name)
        difference = export(module, x, folder / f"{name}.onnx", input_name)
        np.savez_compressed(folder / f"{name}.npz", **{input_name: x.numpy(), "target": target.numpy()})
        count = sum(p.numel() for p in module.parameters())
        print(f"{name}: {count} parameters, file agrees with PyTorch to {difference:.1e}")


if __name__ == "__main__":
    main()
