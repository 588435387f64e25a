"""Training: the network put together, what a step minimises, the step, the epochs, the stages, the evaluation."""
