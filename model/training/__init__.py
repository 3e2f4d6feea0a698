"""The training of a generator: objective, sampler, trainer, run folder, diagnostics, report."""
