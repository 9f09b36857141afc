"""One repository of the Hub: what it holds, and each thing that can be asked of it."""
