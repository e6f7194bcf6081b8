"""A plan of three stages and what it was priced with."""

import torch
import weft
from torch import nn
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.targets import load_target


def compiled(target, **options):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
    )
    sample = (torch.zeros(1, 3, 8, 8), torch.zeros(1, 10))
    return weft.compile(
        model, sample, loss=nn.functional.mse_loss, target=target, options=weft.Options(**options)
    )


PLAN = compiled("wse2")


TARGET = load_target("wse2")


PRICING = Pricing(PLAN.stages, TARGET, PLAN.training)


STAGES = PLAN.stages.stages
