"""`weft bench operators`: torch's own samples of its operators, each held against eager torch.

Reading order: probe (a sample as a model), judge (one probe), sweep (all of them).
"""
