"""PyTorch, all chains in one tensor: unadjusted Langevin, the gradient by hand.

All chains share X, so the two products are single large ones of shape (P, N0) × (N0, C·N1).
"""

import math

import common


def build(problem, _options):
    import torch

    torch.manual_seed(1)
    chains, width, points = problem.chains, problem.width, problem.points
    beta = 1 / problem.temperature
    x, y, w, v = (torch.from_numpy(a) for a in (problem.x, problem.y, problem.w, problem.v))
    x = x / math.sqrt(problem.inputs)
    w, v = w.reshape(chains * width, -1).clone(), v.clone()

    def potential_gradient(w, v):
        h = (w @ x.T).view(chains, width, points)
        if problem.activation == "erf":
            s, ds = torch.erf(h), torch.exp(-h * h) * (2 / math.sqrt(math.pi))
        else:
            s, ds = torch.relu(h), (h > 0).to(h.dtype)
        u = v / math.sqrt(width)
        error = torch.bmm(u[:, None], s) - y
        error *= beta
        dv = torch.bmm(s, error.mT)[:, :, 0] / math.sqrt(width) + problem.lambda1 * v
        ds *= error
        ds *= u[:, :, None]
        dw = torch.addmm(w, ds.view(chains * width, points), x, beta=problem.lambda0)
        return dw, dv

    @torch.inference_mode()
    def gradient():
        dw, dv = potential_gradient(w, v)
        return dw.view(chains, width, -1).numpy(), dv.numpy()

    drift = common.LEARNING_RATE * problem.temperature
    noise = math.sqrt(2 * drift)
    normals = torch.empty_like(w), torch.empty_like(v)

    @torch.inference_mode()
    def advance():
        for _ in range(common.STEPS_PER_CALL):
            for weights, slope, xi in zip((w, v), potential_gradient(w, v), normals):
                weights.add_(slope, alpha=-drift).add_(xi.normal_(), alpha=noise)

    return common.Contender(chains, gradient, advance, lambda: [w, v], ("torch",))


common.main("PyTorch, batched", build)
