"""CIFAR-10: ordinary training in torch beside batch size 1, without and with delayed gradients."""
