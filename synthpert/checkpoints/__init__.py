"""Checkpoints: what they keep of a student, and their files, which are whole or absent."""
