"""Video files to feature stores: clip plan, decoding, backbones, the extraction run."""
