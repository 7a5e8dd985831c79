"""The posterior's logarithm of one chain in JAX, which the JAX and the BlackJAX peers differentiate."""

import math


def log_density(problem):
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(problem.x) / math.sqrt(problem.inputs), jnp.asarray(problem.y)
    activation = {"erf": jax.scipy.special.erf, "relu": jax.nn.relu}[problem.activation]

    def density(weights):
        w, v = weights
        f = activation(x @ w.T) @ v / math.sqrt(problem.width)
        loss = 0.5 * jnp.sum((y - f) ** 2)
        prior = 0.5 * problem.lambda0 * jnp.sum(w * w) + 0.5 * problem.lambda1 * jnp.sum(v * v)
        return -loss / problem.temperature - prior

    return density


def weights(problem):
    import jax.numpy as jnp

    return jnp.asarray(problem.w), jnp.asarray(problem.v)
