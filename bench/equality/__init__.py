"""Whether executors compute the same: what is trained, and how far the numbers are apart."""
