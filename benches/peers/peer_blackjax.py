"""BlackJAX's MALA and HMC, the chains by vmap, compiled; its adaptation is left out, steps are what is timed.

A trajectory of HMC is STEPS_PER_CALL leapfrog steps, one gradient each.
"""

import common
import density

STEP_SIZE = {"mala": 1e-3, "hmc": 1e-2}


def build(problem, options):
    import blackjax
    import jax
    import jax.numpy as jnp
    import numpy as np

    log_density = density.log_density(problem)
    if options.sampler == "mala":
        sampler, trajectories = blackjax.mala(log_density, STEP_SIZE["mala"]), common.STEPS_PER_CALL
    else:
        mass = jnp.ones(problem.width * (problem.inputs + 1))
        sampler = blackjax.hmc(log_density, STEP_SIZE["hmc"], mass, common.STEPS_PER_CALL)
        trajectories = 1

    def step(carry, _):
        key, states = carry
        key, mine = jax.random.split(key)
        states, _info = jax.vmap(sampler.step)(jax.random.split(mine, problem.chains), states)
        return (key, states), None

    steps = jax.jit(lambda carry: jax.lax.scan(step, carry, length=trajectories)[0], donate_argnums=0)
    start = jax.jit(jax.vmap(sampler.init))
    current = [(jax.random.key(1), start(density.weights(problem)))]

    def gradient():
        return [-np.asarray(g) for g in start(density.weights(problem)).logdensity_grad]

    def advance():
        current[0] = jax.block_until_ready(steps(current[0]))

    def state():
        return current[0][1].position

    return common.Contender(problem.chains, gradient, advance, state, ("blackjax", "jax", "jaxlib"))


parser = common.arguments()
parser.add_argument("--sampler", choices=("mala", "hmc"), default="mala")
chosen = parser.parse_args()
common.main(f"BlackJAX {chosen.sampler.upper()}", build, chosen)
