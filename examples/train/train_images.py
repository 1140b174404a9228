"""Trains and exports mlp.onnx or cnn.onnx on Fashion-MNIST: python train_images.py mlp|cnn [--threads 2]"""

import argparse
import pathlib

import numpy as np
import torch
from torch.nn import functional as F

from data import fashion_mnist
from export import export
from models import CNN, MLP

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent
RECIPES = {
    "mlp": dict(model=MLP, epochs=40, batch=128, optimizer=torch.optim.AdamW, rate=2e-3, decay=0.3, more={}),
    "cnn": dict(model=CNN, epochs=10, batch=128, optimizer=torch.optim.SGD, rate=0.1, decay=1e-3,
                more=dict(momentum=0.9, nesterov=True)),
}


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        guesses = torch.cat([model(part).argmax(1) for part in images.split(1000)])
    return (guesses == labels).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    images, labels = map(torch.from_numpy, fashion_mnist("train"))
    test_images, test_labels = map(torch.from_numpy, fashion_mnist("t10k"))
    model = recipe["model"]()
    print(options.name, sum(p.numel() for p in model.parameters()), "parameters")

    optimizer = recipe["optimizer"](
        model.parameters(), lr=recipe["rate"], weight_decay=recipe["decay"], **recipe["more"])
    steps = recipe["epochs"] * (len(images) // recipe["batch"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe["rate"], total_steps=steps, pct_start=0.2)
    for epoch in range(recipe["epochs"]):
        model.train()
        total = 0.0
        order = torch.randperm(len(images))
        for chosen in order[: len(order) // recipe["batch"] * recipe["batch"]].split(recipe["batch"]):
            loss = F.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}: loss {total / len(images):.4f} "
              f"test accuracy {accuracy(model, test_images, test_labels):.4f}", flush=True)

    print(f"train accuracy {accuracy(model, images, labels):.4f}")
    difference = export(model, test_images[:2], EXAMPLES / f"{options.name}.onnx", "images")
    print(f"file agrees with PyTorch to {difference:.1e}")
    np.savez_compressed(EXAMPLES / "fashion-mnist-test.npz", images=test_images[:1000], target=test_labels[:1000])


if __name__ == "__main__":
    main()
