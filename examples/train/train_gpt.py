"""Trains and exports gpt.onnx on Jane Austen's "Pride and Prejudice": python train_gpt.py [--threads 2]

The text (public domain) comes from Debian's package r-cran-janeaustenr, read through R.
"""

import argparse
import pathlib
import subprocess

import numpy as np
import torch
from torch.nn import functional as F

from export import export
from models import GPT

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent
CONTEXT = 64
STEPS, BATCH, RATE = 4000, 32, 3e-3


def novel():
    text = subprocess.check_output(["Rscript", "-e", "writeLines(janeaustenr::prideprejudice)"], text=True)
    text = text.replace("\n\n", "\f").replace("\n", " ").replace("\f", "\n")  # lines become paragraphs
    counts = {character: text.count(character) for character in sorted(set(text))}
    return "".join(c if counts[c] >= 20 else "_" for c in text)               # rare characters share one token


def loss_of(model, block):
    return F.cross_entropy(model(block[:, :-1]).flatten(0, 1), block[:, 1:].flatten())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)

    text = novel()
    alphabet = sorted(set(text))
    codes = torch.tensor([alphabet.index(c) for c in text])
    cut = len(codes) * 9 // 10
    training, held_out = codes[:cut], codes[cut:]
    test = held_out[: len(held_out) // (CONTEXT + 1) * (CONTEXT + 1)].reshape(-1, CONTEXT + 1)
    test = test[torch.linspace(0, len(test) - 1, 128).long()]                 # 128 windows, evenly spread

    model = GPT(len(alphabet), context=CONTEXT)
    print(len(text), "characters,", len(alphabet), "tokens,", sum(p.numel() for p in model.parameters()), "parameters")
    print("alphabet:", repr("".join(alphabet)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        starts = torch.randint(0, cut - CONTEXT - 1, (BATCH, 1))
        loss = loss_of(model, training[starts + torch.arange(CONTEXT + 1)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            with torch.no_grad():
                print(f"step {step + 1}: loss {loss:.3f} test {loss_of(model, test):.3f} nats per character", flush=True)

    difference = export(model, test[:2, :-1], EXAMPLES / "gpt.onnx", "tokens")
    print(f"file agrees with PyTorch to {difference:.1e}")
    np.savez_compressed(EXAMPLES / "gpt-test.npz", tokens=test[:, :-1], target=test[:, 1:])


if __name__ == "__main__":
    main()
