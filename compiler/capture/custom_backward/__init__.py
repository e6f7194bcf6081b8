"""Python of the user's that runs in a backward: autograd Functions and hooks on tensors.

    y = Sign.apply(x)               %y = Sign(%x): traced in its stage, with the backward it has
    h.register_hook(f)       ->     all readers of %h read %k = hook f(%h)

torch.export would trace the forward of a Function and differentiate that, and forget the hook. So
while it traces, each is one operator (operators.py, recorded by record.py) that stands for a call
(call.py) in the captured graph (insert.py). The stage that has it runs the call itself, on fake
tensors, and autograd runs its backward.
"""
