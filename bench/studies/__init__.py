"""The studies behind pages of docs/: training with delays and with sparsity, over seeds."""
