"""Work on a live model: borrow it, run parts of it, let it write, find tokens in prompts."""
