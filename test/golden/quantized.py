"""Outputs of quantized-cnn.onnx by onnxruntime (see ../quantization/quantize.test.ts).

The file is tiny-cnn.onnx after `hessia quantize … --method gptq --bits 4 --group 5` on the data of tiny-cnn.npz.
"""
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

here = Path(__file__).parent
path = str(here.parent / "fixtures" / "quantized-cnn.onnx")
onnx.checker.check_model(path, full_check=True)
x = np.load(here / "tiny-cnn.npz")["x"].astype(np.float32)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
outputs = session.run(None, {session.get_inputs()[0].name: x})[0]
plain = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
print("with its graph optimisations:", np.abs(plain.run(None, {session.get_inputs()[0].name: x})[0] - outputs).max())
np.savez(here / "quantized-cnn.npz", x=x, outputs=outputs)
