"""The network, its losses and its decoding; nothing here touches files."""
