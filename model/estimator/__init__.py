"""The estimator of AUs: the network, its training, and its use as an annotator."""
