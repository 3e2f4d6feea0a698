"""AUs from a crop: the network, its training, its use as an annotator."""
