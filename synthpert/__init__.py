"""SynthPert: teach a language model to reason about cell perturbations."""

__version__ = "0.1.0"
