"""The network, its losses and its decoding, in torch alone: nothing here touches files."""
