"""JAX, all chains by vmap, the steps of a call in one compiled scan: unadjusted Langevin, the gradient by autodiff."""

import math

import common
import density


def build(problem, _options):
    import jax
    import numpy as np

    slope = jax.vmap(jax.grad(density.log_density(problem)))
    drift = common.LEARNING_RATE * problem.temperature
    noise = math.sqrt(2 * drift)

    def step(carry, _):
        key, weights = carry
        key, *keys = jax.random.split(key, 3)
        weights = tuple(
            a + drift * g + noise * jax.random.normal(k, a.shape) for a, g, k in zip(weights, slope(weights), keys)
        )
        return (key, weights), None

    steps = jax.jit(lambda carry: jax.lax.scan(step, carry, length=common.STEPS_PER_CALL)[0], donate_argnums=0)
    current = [(jax.random.key(1), density.weights(problem))]

    def gradient():
        return [-np.asarray(g) for g in jax.jit(slope)(density.weights(problem))]

    def advance():
        current[0] = jax.block_until_ready(steps(current[0]))

    return common.Contender(problem.chains, gradient, advance, lambda: current[0][1], ("jax", "jaxlib"))


common.main("JAX, batched", build)
