"""Times JAX: python bench/rivals/jax_rival.py --workload mlp|resnet20|gpt [--threads 2] [--repeats 9]

The same networks as workloads.py in plain jax.numpy (images with channels last, which XLA's CPU
convolutions prefer), float32, jit everywhere. One JSON document on stdout.
"""

import os

import clock

chosen = clock.options()
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

EPSILON = 1e-5


class Source:
    """Draws parameters as PyTorch initialises them, up to the generator."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def uniform(self, *shape, fan):
        return jnp.asarray(self.generator.uniform(-1, 1, shape) / np.sqrt(fan), jnp.float32)

    def normal(self, *shape, std=0.02):
        return jnp.asarray(std * self.generator.standard_normal(shape), jnp.float32)

    def linear(self, inside, outside, bias=True):
        made = {"weight": self.uniform(inside, outside, fan=inside)}
        return made | ({"bias": self.uniform(outside, fan=inside)} if bias else {})

    def norm(self, width):
        return {"weight": jnp.ones(width), "bias": jnp.zeros(width)}

    def conv(self, size, inside, outside):
        return self.uniform(size, size, inside, outside, fan=size * size * inside)


def linear(p, x):
    return x @ p["weight"] + p.get("bias", 0.0)


def mlp():
    source = Source()
    parameters = [source.linear(a, b) for a, b in ((784, 512), (512, 512), (512, 10))]

    def apply(p, x):
        return linear(p[2], jnp.tanh(linear(p[1], jnp.tanh(linear(p[0], x)))))

    g = source.generator
    return parameters, apply, jnp.asarray(g.standard_normal((256, 784)), jnp.float32), jnp.asarray(g.integers(0, 10, 256))


def resnet20():
    source = Source()
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]

    def block(a, b):
        made = {"conv1": source.conv(3, a, b), "bn1": source.norm(b), "conv2": source.conv(3, b, b), "bn2": source.norm(b)}
        return made | ({} if a == b else {"conv0": source.conv(1, a, b), "bn0": source.norm(b)})

    parameters = {"conv": source.conv(3, 3, 16), "bn": source.norm(16),
                  "blocks": [block(a, b) for a, b in zip(widths, widths[1:])], "head": source.linear(64, 10)}
    statistics = {width: (jnp.zeros(width), jnp.ones(width)) for width in (16, 32, 64)}

    def conv(x, w, stride=1):
        pad = w.shape[0] // 2
        return jax.lax.conv_general_dilated(x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def norm(p, x):
        mean, variance = statistics[x.shape[-1]]
        return (x - mean) * jax.lax.rsqrt(variance + EPSILON) * p["weight"] + p["bias"]

    def apply(p, x):
        x = jax.nn.relu(norm(p["bn"], conv(x, p["conv"])))
        for b in p["blocks"]:
            stride = 2 if "conv0" in b else 1
            inner = norm(b["bn2"], conv(jax.nn.relu(norm(b["bn1"], conv(x, b["conv1"], stride))), b["conv2"]))
            x = jax.nn.relu(inner + (norm(b["bn0"], conv(x, b["conv0"], 2)) if "conv0" in b else x))
        return linear(p["head"], x.mean((1, 2)))

    g = source.generator
    return parameters, apply, jnp.asarray(g.standard_normal((128, 32, 32, 3)), jnp.float32), jnp.asarray(g.integers(0, 10, 128))


def gpt(vocabulary=256, width=128, layers=4, heads=4, context=64, batch=16):
    source = Source()

    def dense(inside, outside):
        return source.linear(inside, outside) | {"weight": source.normal(inside, outside)}

    def block():
        return {"norm1": source.norm(width), "qkv": dense(width, 3 * width), "proj": dense(width, width),
                "norm2": source.norm(width), "up": dense(width, 4 * width), "down": dense(4 * width, width)}

    parameters = {"token": source.normal(vocabulary, width), "position": source.normal(context, width),
                  "blocks": [block() for _ in range(layers)], "norm": source.norm(width),
                  "head": {"weight": source.normal(width, vocabulary)}}
    past = jnp.tril(jnp.ones((context, context), bool))

    def norm(p, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred ** 2).mean(-1, keepdims=True) + EPSILON) * p["weight"] + p["bias"]

    def apply(p, tokens):
        x = p["token"][tokens] + p["position"]
        n, t, _ = x.shape
        for b in p["blocks"]:
            parts = jnp.split(linear(b["qkv"], norm(b["norm1"], x)), 3, -1)
            q, k, v = (part.reshape(n, t, heads, -1).transpose(0, 2, 1, 3) for part in parts)
            scores = q @ k.transpose(0, 1, 3, 2) * (width // heads) ** -0.5
            mixed = jax.nn.softmax(jnp.where(past, scores, -jnp.inf), -1) @ v
            x = x + linear(b["proj"], mixed.transpose(0, 2, 1, 3).reshape(n, t, width))
            x = x + linear(b["down"], jax.nn.gelu(linear(b["up"], norm(b["norm2"], x)), approximate=False))
        return linear(p["head"], norm(p["norm"], x))

    g = source.generator
    return parameters, apply, jnp.asarray(g.integers(0, vocabulary, (batch, context))), jnp.asarray(g.integers(0, vocabulary, (batch, context)))


def main():
    parameters, apply, x, target = {"mlp": mlp, "resnet20": resnet20, "gpt": gpt}[chosen.workload]()
    leaves, structure = jax.tree.flatten(parameters)
    g = np.random.default_rng(1)
    block = structure.unflatten([jnp.asarray(g.standard_normal((clock.BLOCK, *leaf.shape)), jnp.float32) for leaf in leaves])
    vector = jax.tree.map(lambda leaf: leaf[0], block)

    def loss_of(y):
        return -jnp.take_along_axis(jax.nn.log_softmax(y), target[..., None], -1).mean()

    def curve(y, u):
        p = jax.nn.softmax(y)
        return (p * u - p * (p * u).sum(-1, keepdims=True)) / target.size

    # x is an argument, so that XLA cannot fold the network's first products into constants
    def loss(p, x):
        return loss_of(apply(p, x))

    def hessian(p, x, v):
        return jax.jvp(lambda q: jax.grad(loss)(q, x), (p,), (v,))[1]

    def gauss_newton(p, x, v):
        y, tangent = jax.jvp(lambda q: apply(q, x), (p,), (v,))
        return jax.vjp(lambda q: apply(q, x), p)[1](curve(y, tangent))[0]

    def blocked(product):
        return jax.vmap(product, (None, None, 0))

    def timed(function, *arguments):
        return lambda: jax.block_until_ready(function(*arguments))

    def linearized(argument, over_block):
        """The primal pass is a compiled program of its own; its residuals are inputs of the product's."""
        kept = jax.jit(lambda p, x: jax.linearize(lambda q: jax.grad(loss)(q, x), p)[1])(parameters, x)
        run = jax.jit(lambda f, v: jax.vmap(f)(v) if over_block else f(v))
        return timed(run, kept, argument)

    def gauss_newton_linearized(argument, over_block):
        y, kept = jax.jit(lambda p, x: jax.linearize(lambda q: apply(q, x), p))(parameters, x)

        def product(f, y, v):
            return jax.linear_transpose(f, parameters)(curve(y, f(v)))[0]

        run = jax.jit(lambda f, y, v: jax.vmap(lambda u: product(f, y, u))(v) if over_block else product(f, y, v))
        return timed(run, kept, y, argument)

    table, b = clock.Table(chosen), clock.BLOCK
    table.row("jit of grad", "gradient", lambda: timed(jax.jit(jax.grad(loss)), parameters, x))
    table.row("jit of jvp of grad", "hessian", lambda: timed(jax.jit(hessian), parameters, x, vector))
    table.row(f"jit of jvp of grad, vmap over {b}", "hessian", lambda: timed(jax.jit(blocked(hessian)), parameters, x, block), b)
    table.row("linearize, jit, primal retained", "hessian", lambda: linearized(vector, False), retained=True)
    table.row(f"linearize, jit, primal retained, vmap over {b}", "hessian", lambda: linearized(block, True), b, True)
    table.row("jit of jvp, S, vjp", "gauss-newton", lambda: timed(jax.jit(gauss_newton), parameters, x, vector))
    table.row(f"jit of jvp, S, vjp, vmap over {b}", "gauss-newton", lambda: timed(jax.jit(blocked(gauss_newton)), parameters, x, block), b)
    table.row("linearize, S, transpose, jit, primal retained", "gauss-newton", lambda: gauss_newton_linearized(vector, False), retained=True)
    table.row(f"linearize, S, transpose, jit, primal retained, vmap over {b}", "gauss-newton",
              lambda: gauss_newton_linearized(block, True), b, True)

    def distance(result, reference):
        def first(tree):
            return np.concatenate([np.asarray(r[0] if r.ndim > leaf.ndim else r).ravel() for r, leaf in zip(jax.tree.leaves(tree), leaves)])

        left, right = first(result), first(reference)
        return np.linalg.norm(left - right) / np.linalg.norm(right)

    table.check(distance, 1e-3)
    table.report("jax", jax.__version__, sum(leaf.size for leaf in leaves))


if __name__ == "__main__":
    main()
