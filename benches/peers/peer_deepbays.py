"""deepbays (Pacelli et al.): its network, its regularised loss and its Langevin optimiser, as its users run them.

One chain at a time, whatever --chains says: that is what the package does.
"""

import contextlib
import sys

import common
import deepbays_cpu


def build(problem, _options):
    import torch

    NN = deepbays_cpu.load()[0].NN
    torch.manual_seed(1)
    with contextlib.redirect_stdout(sys.stderr):
        net = NN.FCNet(problem.inputs, problem.width, 1, act=problem.activation).Sequential()
    first, last = (layer for layer in net if isinstance(layer, torch.nn.Linear))
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(problem.w[0]))
        last.weight.copy_(torch.from_numpy(problem.v[:1]))
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y).unsqueeze(1)
    optimizer = NN.LangevinOpt(net, common.LEARNING_RATE, problem.temperature)
    regularised = (problem.temperature, problem.lambda0, problem.lambda1)

    def gradient():
        optimizer.zero_grad()
        NN.regLoss(net(x), y, net, *regularised).backward()
        return [g.numpy() / problem.temperature for g in (first.weight.grad[None], last.weight.grad)]

    def advance():
        for _ in range(common.STEPS_PER_CALL):
            NN.train(net, x, y, NN.regLoss, optimizer, *regularised)

    def state():
        return [first.weight.detach(), last.weight.detach()]

    return common.Contender(1, gradient, advance, state, ("deepbays", "torch"))


common.main("deepbays, one chain", build)
