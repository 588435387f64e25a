"""The pages about long tails: class counts, which images, groups, and pictures of them."""
