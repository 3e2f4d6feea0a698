"""ganim animates faces by action units: prepare, annotate, train, animate."""

__version__ = "0.1.0"
