"""Which method for this set: what counts, what is tried, what the runs allow to say, and the model to take away."""
