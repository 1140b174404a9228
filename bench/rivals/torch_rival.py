"""Times PyTorch: python bench/rivals/torch_rival.py --workload mlp|resnet20|gpt [--threads 2] [--repeats 9]

One JSON document on stdout: gradients, Hessian and Gauss-Newton products in every mode that PyTorch
offers. Each mode's product is compared with the others'.
"""

import clock

chosen = clock.options()

import torch  # noqa: E402
from torch.func import functional_call, grad, jvp, linearize, vjp, vmap  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import workloads  # noqa: E402


def inner(left, right):
    return sum((a * b).sum() for a, b in zip(left, right))


class Modes:
    """All ways of computing one workload's products. Vectors are tuples of tensors, blocks have a leading axis."""

    def __init__(self, module, x, target):
        self.module, self.x, self.target = module, x, target
        self.names = [name for name, _ in module.named_parameters()]
        self.parameters = tuple(module.parameters())
        self.detached = tuple(p.detach() for p in self.parameters)
        generator = torch.Generator().manual_seed(1)
        self.block = tuple(torch.randn(clock.BLOCK, *p.shape, generator=generator) for p in self.parameters)
        self.vector = tuple(v[0].clone() for v in self.block)

    def loss_of(self, y):
        return F.cross_entropy(y.flatten(0, -2), self.target.flatten())

    def loss(self):
        return self.loss_of(self.module(self.x))

    def output(self, parameters):
        return functional_call(self.module, dict(zip(self.names, parameters)), (self.x,))

    def functional_loss(self, parameters):
        return self.loss_of(self.output(parameters))

    def curve(self, y, u):
        """S u, the Hessian of the mean cross-entropy at the output."""
        p = torch.softmax(y, -1)
        return (p * u - p * (p * u).sum(-1, keepdim=True)) / self.target.numel()

    # gradient
    def gradient(self):
        return lambda: torch.autograd.grad(self.loss(), self.parameters)

    # Hessian by reverse over reverse
    def slope(self):
        return torch.autograd.grad(self.loss(), self.parameters, create_graph=True)

    def cold(self):
        return lambda: torch.autograd.grad(inner(self.slope(), self.vector), self.parameters)

    def retained(self):
        slope = self.slope()
        return lambda: torch.autograd.grad(slope, self.parameters, self.vector, retain_graph=True)

    def retained_block(self):
        slope = self.slope()
        return lambda: torch.autograd.grad(slope, self.parameters, self.block, retain_graph=True, is_grads_batched=True)

    # Hessian by forward over reverse
    def forward_product(self, v):
        return jvp(grad(self.functional_loss), (self.detached,), (v,))[1]

    def forward(self):
        return lambda: self.forward_product(self.vector)

    def forward_block(self):
        product = vmap(self.forward_product)
        return lambda: product(self.block)

    def linearized(self):
        product = linearize(grad(self.functional_loss), self.detached)[1]
        return lambda: product(self.vector)

    def compiled(self, function, argument):
        product = torch.compile(function, fullgraph=False)
        return lambda: product(argument)

    # Gauss-Newton
    def gauss_newton_forward(self, v):
        y, tangent = jvp(self.output, (self.detached,), (v,))
        return vjp(self.output, self.detached)[1](self.curve(y, tangent))[0]

    def gauss_newton_cold(self):
        return lambda: self.gauss_newton_forward(self.vector)

    def gauss_newton_block(self):
        product = vmap(self.gauss_newton_forward)
        return lambda: product(self.block)

    def gauss_newton_retained(self, batched=False):
        """J v as the transpose of the transpose: two reverse passes on kept graphs."""
        y = self.module(self.x)
        dummy = torch.zeros_like(y, requires_grad=True)
        pulled = torch.autograd.grad(y, self.parameters, dummy, create_graph=True)
        flat = y.detach()

        def run():
            v = self.block if batched else self.vector
            tangent, = torch.autograd.grad(pulled, dummy, v, retain_graph=True, is_grads_batched=batched)
            return torch.autograd.grad(y, self.parameters, self.curve(flat, tangent), retain_graph=True, is_grads_batched=batched)

        return run


def rows(table, modes, suffix=""):
    b = clock.BLOCK
    table.row(f"autograd{suffix}", "gradient", modes.gradient)
    table.row(f"double backward, cold{suffix}", "hessian", modes.cold)
    table.row(f"double backward, graph retained{suffix}", "hessian", modes.retained, retained=True)
    table.row(f"double backward, graph retained, vmap over {b}{suffix}", "hessian", modes.retained_block, b, True)
    table.row(f"forward over reverse{suffix}", "hessian", modes.forward)
    table.row(f"forward over reverse, vmap over {b}{suffix}", "hessian", modes.forward_block, b)
    table.row(f"jvp, S, vjp{suffix}", "gauss-newton", modes.gauss_newton_cold)
    table.row(f"jvp, S, vjp, vmap over {b}{suffix}", "gauss-newton", modes.gauss_newton_block, b)
    table.row(f"two reverse passes, S, graph retained{suffix}", "gauss-newton", modes.gauss_newton_retained, retained=True)
    table.row(f"two reverse passes, S, graph retained, vmap over {b}{suffix}", "gauss-newton",
              lambda: modes.gauss_newton_retained(True), b, True)


def main():
    torch.set_num_threads(chosen.threads)
    module, x, target, _ = workloads.make(chosen.workload)
    modes = Modes(module, x, target)
    table, b = clock.Table(chosen), clock.BLOCK

    rows(table, modes)
    table.row("torch.func.linearize of grad", "hessian", modes.linearized, retained=True)
    table.row("torch.compile, gradient", "gradient",
              lambda: modes.compiled(lambda p: grad(modes.functional_loss)(p), modes.detached))
    table.row("torch.compile, forward over reverse", "hessian", lambda: modes.compiled(modes.forward_product, modes.vector))
    table.row(f"torch.compile, forward over reverse, vmap over {b}", "hessian",
              lambda: modes.compiled(vmap(modes.forward_product), modes.block), b)
    table.row("torch.compile, jvp, S, vjp", "gauss-newton", lambda: modes.compiled(modes.gauss_newton_forward, modes.vector))
    if x.ndim == 4:
        rows(table, Modes(module.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last), target),
             ", channels last")

    def first(parts):
        """The first product of a block, or the only one, as one vector."""
        return torch.cat([(r[0] if r.ndim > p.ndim else r).detach().flatten() for r, p in zip(parts, modes.parameters)])

    table.check(lambda result, reference: ((first(result) - first(reference)).norm() / first(reference).norm()).item(), 1e-3)
    table.report("pytorch", torch.__version__, sum(p.numel() for p in modes.parameters))


if __name__ == "__main__":
    main()
