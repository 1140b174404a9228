"""Exports the example networks to ONNX and checks the file against PyTorch."""

import contextlib
import io
import warnings

import numpy as np
import onnx
import onnxruntime
import torch


def export(model, example, path, name, output="logits", opset=None, dynamic=True, external=False, optimize=False):
    """Today's exporter. `optimize=False` keeps every parameter under its PyTorch name."""
    model.eval()
    shapes = {name: {0: torch.export.Dim("batch")}} if dynamic else None
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (example,), str(path), input_names=[name], output_names=[output],
            dynamo=True, optimize=optimize, dynamic_shapes=shapes, opset_version=opset,
            external_data=external, verbose=False,
        )
    strip(path)
    return check(model, example, path, name)


def export_classic(model, example, path, name, output="logits", opset=17, dynamic=True, fold=False):
    """The TorchScript exporter, told not to fold BatchNorm into the convolutions.

    That takes TrainingMode.PRESERVE (EVAL, its default, folds) and a model in evaluation mode.
    """
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (example,), str(path), input_names=[name], output_names=[output], dynamo=False,
            training=mode, do_constant_folding=fold, opset_version=opset,
            dynamic_axes={name: {0: "batch"}, output: {0: "batch"}} if dynamic else None,
        )
    return check(model, example, path, name)


def strip(path):
    """Drops the exporter's notes (stack traces with local paths, source lines) from the file."""
    proto = onnx.load(path, load_external_data=False)
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.value_info, *proto.graph.initializer]:
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    for function in proto.functions:
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
    onnx.save(proto, path)


def check(model, example, path, name, tolerance=2e-5):
    """The file must agree with PyTorch; returns the largest relative difference."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = model(example).numpy()
    found = session.run(None, {name: example.numpy()})[0]
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert difference < tolerance, f"{path}: differs from PyTorch by {difference}"
    return difference
