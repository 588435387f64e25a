"""The page about losses: their curves, facts, and pictures of what is mixed."""
