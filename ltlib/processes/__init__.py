"""Processes that end with the one that started them, and what they leave on the disk."""
