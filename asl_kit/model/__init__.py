"""The network, its losses and the decoding of its outputs, in torch and without files. See docs/glossary.md#point."""
