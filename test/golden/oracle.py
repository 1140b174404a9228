"""Curvature products and matrices in float64 by PyTorch, each computed in more than one way.

The definitions are those of the project's contract:

    loss         PyTorch's mean over its own terms (non-ignored targets, or elements)
    hessian      of that loss
    gauss-newton Jᵀ S J, with S the Hessian of that loss at the network's output
    empirical-fisher   (1/N) Σ ∇ℓₙ ∇ℓₙᵀ, with ℓₙ PyTorch's loss on sample n alone
"""

import torch
from torch.func import functional_call, grad, jacrev, jvp, vjp, vmap
from torch.nn import functional as F

LOSSES = {
    "cross-entropy": lambda y, t: F.cross_entropy(y if y.ndim != 3 else y.transpose(1, 2), t),  # (N,T,C) has classes last
    "mse": lambda y, t: ((y - t) ** 2).mean(),  # F.mse_loss fails in forward over reverse (torch 2.13)
    "bce-with-logits": F.binary_cross_entropy_with_logits,
}


def agree(left, right, tolerance, what):
    difference = ((left - right).norm() / right.norm().clamp_min(1e-300)).item()
    assert difference < tolerance, f"{what}: relative difference {difference:.1e}"
    return difference


class Oracle:
    """A module's loss as a function of one flat float64 vector of its parameters, in `names` order."""

    def __init__(self, module, x, target, loss, names=None):
        self.module = module.double().eval()
        self.x = x.double() if x.is_floating_point() else x
        self.target = target.double() if target.is_floating_point() else target
        self.loss_of_output = LOSSES[loss]
        parameters = dict(module.named_parameters())
        self.shapes = {name: parameters[name].shape for name in names or parameters}
        self.values = torch.cat([parameters[name].detach().flatten() for name in self.shapes])

    def split(self, flat):
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts)}

    def output(self, flat, x=None):
        return functional_call(self.module, self.split(flat), (self.x if x is None else x,))

    def loss(self, flat):
        return self.loss_of_output(self.output(flat), self.target)

    def sample_loss(self, flat, x, target):
        return self.loss_of_output(self.output(flat, x[None]), target[None])

    def gradient(self):
        return grad(self.loss)(self.values)

    def hessian_product(self, v, smooth=True):
        """By reverse over reverse; checked by forward over reverse and by a difference of gradients."""
        flat = self.values.clone().requires_grad_()
        slope, = torch.autograd.grad(self.loss(flat), flat, create_graph=True)
        product, = torch.autograd.grad(slope @ v, flat)
        agree(jvp(grad(self.loss), (self.values,), (v,))[1], product, 1e-11, "forward over reverse")
        if not smooth:
            return product
        step = 3e-8 / v.abs().max()  # short enough to cross no kink
        difference = (grad(self.loss)(self.values + step * v) - grad(self.loss)(self.values - step * v)) / (2 * step)
        agree(difference, product, 1e-5, "difference of gradients")
        return product

    def gauss_newton_product(self, v):
        """By Jv, S, Jᵀ; checked by the Hessian of the loss with the network linearised."""
        y, tangent = jvp(self.output, (self.values,), (v,))
        curved = jvp(grad(lambda u: self.loss_of_output(u, self.target)), (y,), (tangent,))[1]
        _, pull = vjp(self.output, self.values)
        product, = pull(curved)
        linearised = lambda d: self.loss_of_output(y + jvp(self.output, (self.values,), (d,))[1], self.target)  # noqa: E731
        zero = torch.zeros_like(v, requires_grad=True)
        slope, = torch.autograd.grad(linearised(zero), zero, create_graph=True)
        again, = torch.autograd.grad(slope @ v, zero)
        agree(again, product, 1e-11, "linearised network")
        return product

    def sample_gradients(self):
        rows = []
        for x, target in zip(self.x, self.target):
            flat = self.values.clone().requires_grad_()
            rows.append(torch.autograd.grad(self.sample_loss(flat, x, target), flat)[0])
        return torch.stack(rows)

    def empirical_fisher_product(self, v):
        rows = self.sample_gradients()
        return rows.T @ (rows @ v) / len(rows)

    def matrices(self):
        """The dense matrices, checked column by column against the products."""
        y, rows = self.output(self.values), self.sample_gradients()
        jacobian = jacrev(self.output)(self.values).reshape(y.numel(), -1)
        at_output = jacrev(grad(lambda u: self.loss_of_output(u.view_as(y), self.target)))(y.flatten())
        found = {
            # not torch.func.hessian: its jacfwd(jacrev) is off by 2e-3 for tiny-attention (LayerNorm, torch 2.13)
            "hessian": jacrev(grad(self.loss))(self.values),
            "gauss-newton": jacobian.T @ at_output @ jacobian,
            "empirical-fisher": rows.T @ rows / len(rows),
        }
        agree(vmap(grad(self.sample_loss), (None, 0, 0))(self.values, self.x, self.target), rows, 1e-12, "vmapped gradients")
        for name, product in self.products():
            columns = torch.stack([product(unit) for unit in torch.eye(len(self.values), dtype=torch.float64)], 1)
            agree(columns, found[name], 1e-11, name)
            agree(found[name].T, found[name], 1e-12, f"symmetry of {name}")
            found[name] = (found[name] + found[name].T) / 2
        return found

    def products(self):
        return (
            ("hessian", self.hessian_product_unchecked),
            ("gauss-newton", self.gauss_newton_product),
            ("empirical-fisher", self.empirical_fisher_product),
        )

    def hessian_product_unchecked(self, v):
        return jvp(grad(self.loss), (self.values,), (v,))[1]
