"""Videos decoded: one as a stream of events, in this process or in others."""
