"""Models that benchmarks compile and train, each with its inputs."""
