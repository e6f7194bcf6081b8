"""model --capture--> Graph: a torch model becomes one functional graph of ATen operators.

Reading order: sample (the example inputs), graph (the result), capture (the pass), then what it
calls: functional, randomness, recurrent_layers, repeats/, mixture_of_experts, regions, origin and
source_lines, and the torch.fx helpers in fx_tools and tracing.
"""
