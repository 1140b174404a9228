"""M-FAC as matrices in PyTorch: mfac_rival.py step|static D M THREADS REPEATS. Prints the best time as JSON.

step: the row, its products with the window (float32), A = m lambda I + G G^T in float64, a Cholesky solve, the combination.
static: the paper's recursion, two products with a growing block for each gradient; at least two runs.
"""
import json
import sys
import time

import torch

task, d, m, threads, repeats = sys.argv[1], *map(int, sys.argv[2:6])
torch.set_num_threads(threads)
torch.manual_seed(1)
lam = 1e-5
G = torch.randn(m, d)


def best(run, rounds, before=lambda: None):
    before()
    run()
    least = float("inf")
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


if task == "step":
    A = torch.zeros(m, m, dtype=torch.float64)
    for i in range(0, d, 65536):
        part = G[:, i : i + 65536]
        A += (part @ part.T).double()
    A += m * lam * torch.eye(m, dtype=torch.float64)
    g = torch.randn(d)
    e = torch.zeros(m, 1, dtype=torch.float64)
    slot = 0

    def step():
        global slot
        G[slot] = g
        row = (G @ g).double()
        A[slot], A[:, slot] = row, row
        A[slot, slot] += m * lam
        e.zero_()
        e[slot] = m
        c = torch.cholesky_solve(e, torch.linalg.cholesky(A)).float()
        slot = (slot + 1) % m
        return (c.T @ G)[0]

    seconds = best(step, repeats, before=lambda: g.normal_())  # equal rows would make A singular
else:
    def recursion():
        V = torch.empty(m, d)
        q = torch.empty(m)
        for i in range(m):
            g = G[i]
            v = g / lam
            if i:
                v = v - V[:i].T @ ((V[:i] @ g) / q[:i])
            V[i] = v
            q[i] = m + g @ v

    seconds = best(recursion, 2)
print(json.dumps({"seconds": seconds, "version": torch.__version__}))
